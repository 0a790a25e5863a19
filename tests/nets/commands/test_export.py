"""`lottery export` and `lottery shrink`: all forms, read again; wrong input is one sentence."""

import pytest
import torch

from nets.command_line import main
from nets.models import build
from nets.tickets import Ticket


def lottery(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert end.value.code == 0


@pytest.fixture
def ticket(tmp_path):
    """Return the file of a ticket whose neurons are half dead."""
    model = build("lenet-300-100", (1, 4, 4), 3)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    masks = {
        name: torch.rand(p.shape, generator=torch.Generator().manual_seed(0)) < 0.3
        for name, p in model.named_parameters()
        if p.dim() == 2
    }
    masks["3.weight"][:, 150:] = False
    masks["5.weight"][:] = True
    said = {"model": "lenet-300-100", "input_shape": [1, 4, 4]}
    return Ticket(masks, weights, said).save(tmp_path / "my.first.safetensors")


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("packed", "my.first.packed.safetensors"),
        ("safetensors", "my.first.dense.safetensors"),
        ("int8", "my.first.int8.safetensors"),
        ("csr", "my.first.csr.pt"),
        ("torch", "my.first.pt"),
    ],
)
def test_every_form_is_written_and_read_again(ticket, form, name, capsys):
    lottery("export", ticket, "--to", form, "--check")
    told = capsys.readouterr().out
    assert (ticket.parent / name).exists()
    assert ("read again: within" if form == "int8" else "read again: equal to the bit") in told
    assert "% of the dense weights" in told


def test_onnx(ticket, capsys):
    pytest.importorskip("onnxruntime")
    lottery("export", ticket, "--to", "onnx", "--check")
    assert (ticket.parent / "my.first.onnx").exists()
    assert "outputs equal in onnxruntime" in capsys.readouterr().out


def test_shrink(ticket, capsys):
    lottery("shrink", ticket)
    told = capsys.readouterr().out
    assert "1.weight: 300 x 16 -> 150 x 16" in told
    assert "3.weight: 100 x 300 -> 100 x 150" in told
    assert "5.weight: kept whole" in told
    small = torch.export.load(ticket.parent / "my.first.small.pt2").module()
    x = torch.randn(3, 1, 4, 4)
    whole = Ticket.load(ticket).apply(build("lenet-300-100", (1, 4, 4), 3)).eval()
    with torch.no_grad():
        torch.testing.assert_close(small(x), whole(x), rtol=1e-5, atol=1e-5)


def test_wrong_input_is_one_sentence(ticket, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["export", str(ticket), "--out", str(ticket)])
    assert "is the ticket itself: name another file with --out" in capsys.readouterr().err
    other = Ticket({"w": torch.ones(2, 2, dtype=torch.bool)}, {"w": torch.ones(2, 2)})
    with pytest.raises(SystemExit):
        main(["shrink", str(other.save(tmp_path / "other.safetensors"))])
    assert "does not remember its model and the shape of inputs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", str(ticket), "--network", str(ticket)])
    assert "is a safetensors file but not a network" in capsys.readouterr().err

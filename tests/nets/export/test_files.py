"""Networks in files: exact, small, readable without this library."""

import base64
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import nets
from nets.export import load, save
from nets.storage import tensor_file
from nets.tickets import Ticket

sys.path.insert(0, str(Path(__file__).parent))

from old_files import NETWORK_2, TICKET_2

DOCS = Path(__file__).parents[3] / "docs" / "files.md"


@pytest.fixture
def network(conv_net):
    return conv_net(seed=4)


@pytest.fixture
def ticket(network):
    generator = torch.Generator().manual_seed(3)
    weights = {k: v.clone() for k, v in network.state_dict().items()}
    return Ticket(
        {
            name: torch.rand(weights[name].shape, generator=generator) < density
            for name, density in (("conv.weight", 0.5), ("hidden.weight", 0.1), ("out.weight", 0.9))
        },
        weights,
        {"method": "magnitude"},
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_packed_round_trip_is_exact(tmp_path, network, ticket, dtype):
    network = network.to(dtype)
    wanted = ticket.masked(network).state_dict()
    path = save(network, ticket, tmp_path / "small.safetensors")
    state = load(path)
    assert set(state) == set(wanted)
    assert all(torch.equal(state[k], v) and state[k].dtype == v.dtype for k, v in wanted.items())
    other = type(network)().to(dtype)
    assert load(path, other) is other
    assert all(torch.equal(v, wanted[k]) for k, v in other.state_dict().items())


def test_weights_may_be_written_in_fewer_bytes(tmp_path, network, ticket):
    state = load(save(network, ticket, tmp_path / "half", dtype=torch.bfloat16))
    wanted = ticket.masked(network).state_dict()
    assert state["hidden.weight"].dtype == torch.bfloat16
    assert state["norm.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(state["hidden.weight"], wanted["hidden.weight"].bfloat16())


def test_a_masked_network_is_saved_as_the_plain_one(tmp_path, network, ticket):
    plain = save(network, ticket, tmp_path / "plain").read_bytes()
    masked = nets.attach(network, ticket.masks)
    assert save(masked, ticket, tmp_path / "masked").read_bytes() == plain
    assert hasattr(masked.conv, "parametrizations")


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_lines_of_the_documentation_read_every_file(tmp_path, network, ticket, dtype, whole):
    """Numpy alone, by the code that the documentation shows."""
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[1]
    names = {}
    exec(code, names)
    if whole:
        weights = {k: v.to(dtype) if v.is_floating_point() else v for k, v in ticket.weights.items()}
        path = Ticket(ticket.masks, weights).save(tmp_path / "t", whole=True)
        wanted = weights
    else:
        path = save(network, ticket, tmp_path / "x", dtype=dtype)
        wanted = load(path)
    state = names["read"](path)
    assert set(state) == set(wanted)
    for name, array in state.items():
        assert array.shape == tuple(wanted[name].shape)
        assert array.tobytes() == wanted[name].flatten().view(torch.uint8).numpy().tobytes()


def test_other_forms(tmp_path, network, ticket):
    wanted = ticket.masked(network).state_dict()
    plain = torch.load(save(network, ticket, tmp_path / "a.pt", form="torch"), weights_only=True)
    dense = safetensors.torch.load_file(save(network, ticket, tmp_path / "b", form="safetensors"))
    csr = torch.load(save(network, ticket, tmp_path / "c.pt", form="csr"), weights_only=True)
    for name, tensor in wanted.items():
        assert torch.equal(plain[name], tensor)
        assert torch.equal(dense[name], tensor)
        if name in ticket.masks:
            assert csr[name].layout == torch.sparse_csr
            assert csr[name].values().numel() == int(ticket.masks[name].sum())
            assert torch.equal(csr[name].to_dense().reshape(tensor.shape), tensor)
        else:
            assert torch.equal(csr[name], tensor)
    with pytest.raises(
        ValueError, match="form must be one of packed, int8, csr, torch, safetensors, got 'zip'"
    ):
        save(network, ticket, tmp_path / "d", form="zip")
    assert not (tmp_path / "d").exists()


def test_eight_bits_are_a_scale_a_row_and_keep_zeros(tmp_path, network, ticket):
    wanted = ticket.masked(network).state_dict()
    state = load(save(network, ticket, tmp_path / "x", form="int8"))
    assert set(state) == set(wanted)
    for name, tensor in wanted.items():
        assert state[name].dtype == tensor.dtype
        if name not in ticket.masks:
            assert torch.equal(state[name], tensor)
            continue
        assert (state[name][~ticket.masks[name]] == 0).all()
        rows, far = tensor.flatten(1).abs(), (state[name] - tensor).flatten(1).abs()
        assert (far.amax(1) <= rows.amax(1) / 127 / 2 + 1e-7).all()
    load(tmp_path / "x", network)


def test_what_is_not_this_network_is_refused(tmp_path, network, ticket):
    path = save(network, ticket, tmp_path / "x")
    other = torch.nn.Linear(3, 2)
    before = other.weight.clone()
    with pytest.raises(ValueError, match=r"is of another network than Linear: see bias, conv\.bias"):
        load(path, other)
    assert torch.equal(other.weight, before)
    with pytest.raises(ValueError, match=r"this ticket is for another network: it masks conv\.weight"):
        save(other, ticket, tmp_path / "y")
    with pytest.raises(ValueError, match="is a safetensors file but not a network"):
        load(ticket.save(tmp_path / "t"))
    with pytest.raises(ValueError, match="is a safetensors file but not a ticket"):
        Ticket.load(path)


def test_damaged_files_are_refused(tmp_path, network, ticket):
    content = save(network, ticket, tmp_path / "x").read_bytes()
    changed = tmp_path / "changed"
    for place in range(0, len(content), 41):
        changed.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        with pytest.raises(ValueError, match="changed"):
            load(changed)
    for length in (0, 7, 8, 100, len(content) - 1):
        changed.write_bytes(content[:length])
        with pytest.raises(ValueError, match="changed"):
            load(changed)
    changed.write_bytes(struct.pack("<Q", 2**60) + content[8:])
    with pytest.raises(ValueError, match="changed"):
        load(changed)


def test_the_network_of_a_stored_run_is_read(tmp_path, network):
    tensor_file.write(tmp_path / "n", "concave-sparsity network", 1, network.state_dict(), {"run": "a"})
    state = load(tmp_path / "n")
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())


def test_files_of_version_2_are_read(tmp_path):
    """Made by the version before: the codes of masks in a tensor of their own."""
    state = {
        name: torch.arange(torch.Size(shape).numel()).reshape(shape) / 8 - 3
        for name, shape in (("0.weight", (8, 40)), ("0.bias", (8,)), ("2.weight", (3, 8)), ("2.bias", (3,)))
    }
    masks = {
        "0.weight": torch.arange(320).reshape(8, 40) % 37 == 5,
        "2.weight": torch.arange(24).reshape(3, 8) % 3 != 1,
    }
    for name, text in (("t", TICKET_2), ("n", NETWORK_2)):
        (tmp_path / name).write_bytes(zlib.decompress(base64.b85decode(text)))
    ticket, network = Ticket.load(tmp_path / "t"), load(tmp_path / "n")
    assert ticket.metadata == {"method": "magnitude"}
    assert list(ticket.weights) == list(state)
    for name, tensor in state.items():
        wanted = tensor.masked_fill(~masks[name], 0) if name in masks else tensor
        assert torch.equal(ticket.weights[name], wanted)
        assert (network[name] - wanted).abs().max() <= wanted.abs().max() / 254
    assert all(torch.equal(ticket.masks[name], mask) for name, mask in masks.items())


def test_sizes(tmp_path):
    """A 1000-wide layer at 10%: a tenth of the dense file, not more than it."""
    model = torch.nn.Sequential(torch.nn.Linear(1000, 1000))
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(1000, 1000, generator=generator) < 0.1
    ticket = Ticket({"0.weight": mask}, model.state_dict())
    size = {
        form: save(model, ticket, tmp_path / form, form=form).stat().st_size for form in nets.export.FORMS
    }
    kept = int(mask.sum())
    entropy = -1e6 / 8 * sum(p * np.log2(p) for p in (kept / 1e6, 1 - kept / 1e6))
    assert size["packed"] <= 1.05 * (4 * kept + entropy + 4000)
    assert size["int8"] <= 1.05 * (kept + entropy + 8000)
    assert size["packed"] < size["csr"] < size["torch"]
    assert size["safetensors"] > 4e6
    assert ticket.save(tmp_path / "ticket").stat().st_size == pytest.approx(size["packed"], abs=20)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, "float16"])
def test_weights_are_not_cut_to_whole_numbers(dtype, tmp_path):
    model = torch.nn.Linear(4, 3)
    ticket = nets.Ticket({"weight": torch.ones(3, 4, dtype=torch.bool)}, model.state_dict())
    with pytest.raises(ValueError, match=r"dtype must be a floating type such as torch\.float16, got"):
        nets.export.save(model, ticket, tmp_path / "network", dtype=dtype)
    assert not list(tmp_path.iterdir())

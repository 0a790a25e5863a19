"""Routes of inference: all equal the dense network, what does not exist is said, dense is among them."""

import pytest
import torch
from torch import nn

import nets
from nets.tickets import Ticket

FAST = ("shrunk", "chain", "torch-csr", "scipy-csr")


def mlp(density=0.1):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(50, 60), nn.ReLU(), nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 5))
        masks = {n: torch.rand(p.shape) < density for n, p in model.named_parameters() if p.dim() == 2}
    return model, Ticket(masks, {k: v.clone() for k, v in model.state_dict().items()})


@pytest.mark.parametrize("batch", [1, 9])
def test_every_route_runs_and_the_best_is_one_of_them(batch):
    model, ticket = mlp()
    before = torch.get_num_threads()
    told = nets.export.measure(model, ticket, batch, threads=1, routes=FAST, rounds=5, seconds=0.001)
    assert torch.get_num_threads() == before
    assert [t.route for t in told.timings] == ["dense", *FAST]
    assert (told.batch, told.threads) == (batch, 1)
    for timing in told.timings:
        assert timing.note == "" or timing.route == "shrunk"
        assert timing.note or timing.seconds > 0
    assert told["dense"].speedup == 1.0
    assert told[told.best].low >= 1.0
    x = torch.randn(batch, 50)
    with torch.no_grad():
        torch.testing.assert_close(told.run(x), ticket.masked(model)(x), rtol=1e-4, atol=1e-5)
    assert "<- fastest" in str(told)


def test_several_settings_are_measured_one_after_another():
    model, ticket = mlp()
    told = list(
        nets.export.measurements(model, ticket, [(1, 1), (3, 1)], routes=("chain",), rounds=2, seconds=0.001)
    )
    assert [(m.batch, m.threads) for m in told] == [(1, 1), (3, 1)]


def test_nothing_slower_is_chosen(monkeypatch):
    from nets.export import speed

    model, ticket = mlp()
    times = {"dense": [1.0, 1.0, 1.0, 1.0], "chain": [0.5, 2.0, 2.0, 0.5], "torch-csr": [3.0] * 4}
    monkeypatch.setattr(speed, "_times", lambda runs, *others: {route: times[route] for route in runs})
    told = nets.export.measure(model, ticket, 1, routes=("chain", "torch-csr"))
    assert told.best == "dense"
    times["chain"] = [0.5] * 4
    assert nets.export.measure(model, ticket, 1, routes=("chain", "torch-csr")).best == "chain"


def test_what_a_network_has_no_route_for_is_said(conv_net):
    model = conv_net()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    mask = torch.ones(6, 1, 3, 3, dtype=torch.bool)
    ticket = Ticket({"conv.weight": mask}, weights)
    x = torch.randn(2, 1, 8, 8)
    told = nets.export.measure(model, ticket, x, routes=FAST, rounds=2, seconds=0.001)
    assert "every unit is read" in told["shrunk"].note
    assert "no linear layer and no activation" in told["chain"].note
    assert told["scipy-csr"].note
    assert not told["torch-csr"].note
    assert torch.isnan(torch.tensor(told["chain"].seconds))
    with pytest.raises(ValueError, match="does not remember the shape of inputs: give x"):
        nets.export.measure(model, ticket, 4)
    with pytest.raises(ValueError, match="unknown route 'gpu'; choose among dense"):
        nets.export.measure(model, ticket, x, routes=("gpu",))


def test_dead_units_are_left_out_of_every_route():
    model, ticket = mlp(1.0)
    masks = {name: mask.clone() for name, mask in ticket.masks.items()}
    masks["2.weight"][:, 10:] = False  # fifty neurons are not read
    ticket = Ticket(masks, ticket.weights)
    told = nets.export.measure(model, ticket, 3, routes=FAST, rounds=2, seconds=0.001)
    assert not told["shrunk"].note


def test_import_is_free_of_compilers():
    import subprocess
    import sys

    code = "import sys, nets; nets.export.save; print({'numba', 'onnx', 'cvxpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

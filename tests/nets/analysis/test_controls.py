"""Each control changes what it says and nothing else; overlap and connectivity against known cases."""

import pytest
import torch
from torch import nn

import nets
from nets.analysis.controls import CONTROLS, control, linear_connectivity, overlap
from nets.data import Dataset
from nets.models import build
from nets.tickets import Ticket


@pytest.fixture(scope="module")
def ticket():
    weights = build("lenet-300-100", (1, 8, 8), 10, seed=0).state_dict()
    generator = torch.Generator().manual_seed(0)
    masks = {
        name: torch.rand(weights[name].shape, generator=generator) < density
        for name, density in (("1.weight", 0.1), ("3.weight", 0.3), ("5.weight", 0.7))
    }
    return Ticket(masks, weights, {"seed": 0, "rewind": 0})


def draw(seed):
    return build("lenet-300-100", (1, 8, 8), 10, seed=seed).state_dict()


@pytest.mark.parametrize("name", CONTROLS)
def test_counts_of_every_layer_stay_and_the_ticket_is_untouched(ticket, name):
    before = {k: m.clone() for k, m in ticket.masks.items()}
    changed = control(name, ticket, 3, draw)
    assert {k: int(m.sum()) for k, m in changed.masks.items()} == {k: int(m.sum()) for k, m in before.items()}
    assert all(torch.equal(ticket.masks[k], before[k]) for k in before)
    assert changed.metadata["control"] == name
    again = control(name, ticket, 3, draw)
    assert all(torch.equal(changed.masks[k], again.masks[k]) for k in before)
    assert all(torch.equal(changed.weights[k], again.weights[k]) for k in changed.weights)


@pytest.mark.parametrize("name", ["shuffle", "invert", "random"])
def test_masks_really_change(ticket, name):
    """A shuffle control that never changes the mask is a known fault of reference code."""
    changed = control(name, ticket, 3, draw)
    for key, mask in ticket.masks.items():
        assert not torch.equal(changed.masks[key], mask)


def test_a_shuffled_mask_overlaps_as_little_as_chance(ticket):
    changed = control("shuffle", ticket, 3)
    mask = ticket.masks["1.weight"]
    share = (changed.masks["1.weight"] & mask).sum() / mask.sum()
    assert share == pytest.approx(0.1, abs=0.02)
    assert all(changed.weights[k] is ticket.weights[k] for k in ticket.weights)


def test_inversion_keeps_pruned_weights_as_far_as_there_are_any(ticket):
    changed = control("invert", ticket, 3)
    for name, mask in ticket.masks.items():
        shared = int((changed.masks[name] & mask).sum())
        kept, pruned = int(mask.sum()), int((~mask).sum())
        assert shared == max(0, kept - pruned)


def test_reinitialisation_changes_weights_only(ticket):
    changed = control("reinitialise", ticket, 3, draw)
    assert all(torch.equal(changed.masks[k], ticket.masks[k]) for k in ticket.masks)
    assert not torch.equal(changed.weights["1.weight"], ticket.weights["1.weight"])
    with pytest.raises(ValueError, match="draw new weights"):
        control("reinitialise", ticket, 3)


def test_unknown_controls_are_refused(ticket):
    with pytest.raises(ValueError, match="unknown control 'shufle'"):
        control("shufle", ticket, 0)


def test_overlap(ticket):
    assert overlap(ticket, ticket) == 1.0
    inverted = control("invert", Ticket({"1.weight": ticket.masks["1.weight"]}, ticket.weights), 0)
    assert overlap(Ticket({"1.weight": ticket.masks["1.weight"]}, ticket.weights), inverted) == 0.0
    with pytest.raises(ValueError, match="different tensors"):
        overlap(ticket, inverted)


def blobs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator)
    y = (x[:, 0] > 0).long()
    return Dataset("half-planes", x, y, x[:0], y[:0], x, y, n_classes=2)


def test_connectivity_of_equal_states_has_no_barrier_and_of_opposite_ones_has():
    data = blobs()
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    state = {
        "0.weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]),
        "2.weight": torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
    }
    swapped = {name: tensor.flip(0 if name[0] == "0" else 1) for name, tensor in state.items()}
    same = linear_connectivity(model, state, state, data)
    assert same["error"] == [0.0] * 11
    assert same["barrier"] == 0.0
    apart = linear_connectivity(model, state, swapped, data)
    assert apart["error"][0] == apart["error"][-1] == 0.0
    assert apart["barrier"] > 0.3


def test_connectivity_estimates_batch_statistics_anew():
    data = blobs()
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2))
    first = {k: v.clone() for k, v in model.state_dict().items()}
    second = {k: (v * 10 if k == "1.running_mean" else v).clone() for k, v in first.items()}
    a = linear_connectivity(model, first, first, data)
    b = linear_connectivity(model, second, second, data)
    assert a == b
    assert model[1].momentum == 0.1


def test_a_retrained_control_is_a_fair_comparison(ticket):
    trained = nets.retrain(control("random", ticket, 0, draw), "lenet-300-100", "digits", epochs=1)
    weights = dict(trained.model.named_parameters())
    assert 0 <= trained.test_accuracy <= 1
    assert int((weights["1.weight"] != 0).sum()) <= int(ticket.masks["1.weight"].sum())

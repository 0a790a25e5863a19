"""No layer is emptied while another has weights to give; densities of one's own for every layer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import nets
from nets.configuration import Training
from nets.masking.layout import Layout
from nets.masking.selection import select


def deep():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


@pytest.fixture(scope="module")
def points():
    x = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] + x[:, 1] > 0).long()


@given(
    sizes=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_a_global_ranking_leaves_a_weight_to_every_layer(sizes, share, seed):
    layout = Layout(tuple(map(str, range(len(sizes)))), tuple((size,) for size in sizes))
    count = len(sizes) + round(share * (sum(sizes) - len(sizes)))
    scores = torch.randint(0, 4, (sum(sizes),), generator=torch.Generator().manual_seed(seed)).float()
    mask = select(scores, layout, count)
    assert int(mask.sum()) == count
    assert all(part.any() for part in layout.segments(mask))
    plain = torch.zeros_like(mask)
    plain[scores.argsort(descending=True, stable=True)[:count]] = True
    if all(part.any() for part in layout.segments(plain)):
        assert torch.equal(mask, plain)
    for part, values in zip(layout.segments(mask), layout.segments(scores)):
        assert not (~part).any() or values[part].min() >= values[~part].max()


def test_layers_that_must_stay_empty_are_named_and_pruned_ones_stay_pruned():
    layout = Layout(("first", "second", "third"), ((4,), (4,), (4,)))
    scores = torch.arange(12.0)
    with pytest.warns(UserWarning, match=r"2 weights are too few for 3 layers: first keep none"):
        mask = select(scores, layout, 2)
    assert [int(part.sum()) for part in layout.segments(mask)] == [0, 1, 1]
    scores[:4] = -torch.inf
    assert [int(part.sum()) for part in layout.segments(select(scores, layout, 3))] == [0, 1, 2]


@pytest.mark.parametrize("method", ["concave", "l1", "snip", "grasp", "synflow", "gmp", "imp", "l0"])
def test_a_tenth_of_a_percent_keeps_every_layer(method, points):
    training = Training(epochs=10, batch_size=64)
    ticket = nets.find_ticket(deep(), points, method, density=0.001, training=training)
    assert ticket.kept == 6  # of 5504 weights
    assert all(ticket.layer_densities.values())


DENSITIES = {"0.*": 0.1, "4.weight": 1.0, "*": 0.05}


@pytest.mark.parametrize("method", ["concave", "l1", "gmp", "rigl", "l0", "pilot", "random", "snip", "imp"])
def test_every_layer_has_its_own_density(method, points):
    training = Training(epochs=4, batch_size=32)
    ticket = nets.find_ticket(deep(), points, method, density=DENSITIES, training=training)
    kept = {name: int(mask.sum()) for name, mask in ticket.masks.items()}
    assert kept == {"0.weight": 128, "2.weight": 205, "4.weight": 128}
    assert ticket.metadata["densities"] == DENSITIES


def test_densities_of_layers_in_the_users_loop(points):
    model = deep()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    masking = nets.Masking(model, optimiser, density=DENSITIES, steps=60)
    for _ in range(60):
        nn.functional.cross_entropy(model(points[0]), points[1]).backward()
        optimiser.step()
        optimiser.zero_grad()
    above = [int((mask > 0.5).sum()) for mask in masking.masks.values()]
    ticket = masking.ticket()
    assert [int(mask.sum()) for mask in ticket.masks.values()] == [128, 205, 128]
    assert above == pytest.approx([128, 205, 128], abs=10)  # the cut has little left to do


@pytest.mark.parametrize(
    ("density", "sentence"),
    [
        ({"0.*": 0.1}, "no density for 2.weight"),
        ({"fc*": 0.1, "*": 0.1}, "'fc\\*' matches no masked tensor"),
        ({"*": 1.5}, "must be in \\(0, 1\\], got 1.5"),
        ({"*": "much"}, "must be in"),
        ("0.1", r"density must be in \(0, 1\], got '0.1'"),
    ],
)
def test_wrong_densities_are_refused_in_a_sentence(density, sentence, points):
    with pytest.raises(ValueError, match=sentence):
        nets.find_ticket(deep(), points, density=density)
    with pytest.raises(ValueError, match="densities of layers"):
        nets.find_ticket(deep(), points, density=DENSITIES, granularity="2:4")


@pytest.mark.parametrize("penalty", ["log(0.02)", "l1", "mcp(1.0)"])
def test_a_training_of_nine_steps_moves_the_mask(penalty, points):
    x, y = points
    training = Training(epochs=3, batch_size=40)
    ticket = nets.find_ticket(deep(), (x[:150], y[:150]), density=0.1, penalty=penalty, training=training)
    assert ticket.trace["step"][0] == 1.0
    assert ticket.trace["above_half"][-1] < 0.2
    given = nets.find_ticket(
        deep(), (x[:150], y[:150]), training=training, options={"lam": 1e-6, "update": "curvature"}
    )
    assert given.density < 1.0
    with pytest.raises(ValueError, match="a training of 1 step is too short"):
        nets.find_ticket(deep(), (x[:150], y[:150]), training=Training(epochs=1, batch_size=150))

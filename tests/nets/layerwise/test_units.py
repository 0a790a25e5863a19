"""Channels and heads without training: the choice against brute force, and what any network must get."""

from __future__ import annotations

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nets
from concave_sparsity import Log
from nets.layerwise.rows import LayerProblem
from nets.layerwise.units import _ranked, _Reader, _Tableau, exchanged, group_path
from nets.models.flops import count_flops
from nets.models.vision_transformer import VisionTransformer


def readers(seed: int, count: int = 7, layers: int = 2) -> list[_Reader]:
    """Layers that read the same units, two or three columns each, beside a column that stays."""
    rng = np.random.default_rng(seed)
    found = []
    for layer in range(layers):
        unit = np.append(np.repeat(np.arange(count), 2 + layer), -1)
        x = rng.standard_normal((60, 4)) @ rng.standard_normal((4, len(unit)))
        x += 0.7 * rng.standard_normal(x.shape)
        weights = rng.standard_normal((5, len(unit)))
        found.append(_Reader.of(LayerProblem.of(x.T @ x / len(x), weights), unit))
    return found


def error(found: list[_Reader], kept: tuple[int, ...]) -> float:
    """The sum of the relative errors after least squares on the columns of these units."""
    total = 0.0
    for reader in found:
        s = np.flatnonzero(np.isin(reader.unit, (-1, *kept)))
        values = np.linalg.solve(reader.gram[np.ix_(s, s)], reader.right[:, s].T)
        total += 1.0 - float(np.vdot(values.T, reader.right[:, s]))
    return total


def test_path_and_exchanges_come_near_the_best_set_of_units() -> None:
    ratios, exact = [], 0
    for seed in range(6):
        found = readers(seed)
        best = min(error(found, s) for s in combinations(range(7), 3))
        alive = np.isin(np.arange(7), group_path(found, 7, Log(0.1))[:3])
        start = error(found, tuple(np.flatnonzero(alive)))
        better = exchanged(found, alive, np.zeros(7, dtype=np.int64))
        assert better.sum() == 3
        reached = error(found, tuple(np.flatnonzero(better)))
        assert reached <= start * (1 + 1e-9)
        ratios.append(reached / best)
        exact += reached <= best * (1 + 1e-6)
    assert exact >= 4
    assert max(ratios) < 1.1


def test_a_tableau_weighs_and_turns_units_as_least_squares_does() -> None:
    found = readers(3)
    alive = np.array([True, False, True, True, False, False, True])
    tableaux = [_Tableau(reader, alive) for reader in found]
    for unit in (2, 4, 0, 4):
        now = error(found, tuple(np.flatnonzero(alive)))
        changes = np.sum([t.changes(7) for t in tableaux], axis=0)
        for u in range(7):
            other = alive.copy()
            other[u] = not other[u]
            direct = abs(error(found, tuple(np.flatnonzero(other))) - now)
            assert changes[u] == pytest.approx(direct, rel=1e-6, abs=1e-10)
        for t in tableaux:
            t.turn(unit)
        alive[unit] = not alive[unit]


def test_exchanges_keep_the_kinds_and_savings_are_those_of_the_ranking() -> None:
    found = readers(1)
    kinds = np.array([0, 0, 0, 1, 1, 1, 1])
    alive = np.array([True, False, False, False, True, False, True])
    better = exchanged(found, alive, kinds)
    assert [int(better[kinds == k].sum()) for k in (0, 1)] == [1, 2]
    order, worth = _ranked(found, 7, Log(0.1))
    assert sorted(order) == list(range(7))
    assert (np.diff(worth[order]) <= 1e-12).all()
    assert worth.sum() == pytest.approx(error(found, ()) - error(found, tuple(range(7))), rel=1e-6)


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 12, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 10), nn.ReLU(), nn.Linear(10, 4),
    )  # fmt: skip
    model(torch.randn(60, 3, 6, 6))  # statistics
    return model.eval()


class Stream(nn.Module):
    """Two blocks on one residual stream, whose units four layers read or write."""

    def __init__(self) -> None:
        super().__init__()
        self.begin, self.end = nn.Conv2d(3, 10, 3, padding=1), nn.Linear(10, 4)
        self.inner = nn.ModuleList(nn.Conv2d(10, 6, 3, padding=1) for _ in range(2))
        self.outer = nn.ModuleList(nn.Conv2d(6, 10, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(x)
        for inner, outer in zip(self.inner, self.outer):
            x = x + outer(torch.relu(inner(x)))
        return self.end(x.mean((2, 3)))


@pytest.mark.parametrize("allocation", ["layer", "global"])
@pytest.mark.parametrize("make", [convolutional, Stream])
def test_whole_channels_go_and_the_network_becomes_smaller(make: type[nn.Module], allocation: str) -> None:
    torch.manual_seed(1)
    model = make().eval()
    x = torch.randn(160, 3, 6, 6)
    before = copy.deepcopy(model.state_dict())
    ticket = nets.prune(model, x, 0.4, granularity="channel", allocation=allocation, certify=False)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert ticket.kept <= round(0.4 * ticket.total)
    assert 0 < ticket.metadata["units_kept"] < ticket.metadata["units"]
    pruned = ticket.apply(copy.deepcopy(model))
    small = nets.shrink(pruned, ticket)
    assert sum(p.numel() for p in small.parameters()) < 0.7 * sum(p.numel() for p in model.parameters())
    torch.testing.assert_close(small(x), pruned(x), rtol=1e-4, atol=1e-5)
    settings = {"granularity": "channel", "allocation": allocation, "certify": False}
    plain = nets.prune(model, x, 0.4, solver="magnitude", **settings)
    assert ticket.certificate.output_change < plain.certificate.output_change


def test_a_density_may_count_operations() -> None:
    model, x = convolutional(), torch.randn(60, 3, 6, 6)
    ticket = nets.prune(model, x, 0.4, granularity="channel:flops", certify=False)
    small = nets.shrink(ticket.apply(copy.deepcopy(model)), ticket, x)
    counted = [sum(count_flops(m, x[:1]).layers.values()) for m in (small, model)]
    assert 0.2 < counted[0] / counted[1] <= 0.4


def test_channels_that_say_what_others_say_go_first_and_cost_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    with torch.no_grad():  # the second half says what the first does, only louder
        model[0].weight[4:] = 3.0 * model[0].weight[:4]
        model[0].bias[4:] = 3.0 * model[0].bias[:4]
    x = torch.randn(200, 6)
    ticket = nets.prune(model, x, 0.5, granularity="channel", ridge=1e-4)
    assert ticket.metadata["units_kept"] == 4
    assert ticket.certificate.output_change < 0.01
    rival = nets.prune(model, x, 0.5, granularity="channel", ridge=1e-4, solver="random+refit")
    assert rival.metadata["units_kept"] == 4


def transformer() -> nn.Module:
    torch.manual_seed(0)
    model = VisionTransformer(1, 16, 2, 4, depth=2, width=0.0625)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model.eval()


def test_attention_heads_go_whole_and_the_rest_stays() -> None:
    model, x = transformer(), torch.randn(60, 1, 8, 8)
    ticket = nets.prune(model, x, 0.5, granularity="head")
    assert all(layer.best_count <= layer.fitted * (1 + 1e-6) for layer in ticket.certificate.layers)
    assert {name.split(".")[2] for name in ticket.masks} == {"attention"}
    assert ticket.metadata["units"] == 8
    assert ticket.metadata["units_kept"] == 4
    pruned = ticket.apply(copy.deepcopy(model))
    assert torch.equal(pruned.blocks[0].expand.weight, model.blocks[0].expand.weight)
    small = nets.shrink(pruned, ticket)
    rows = [block.attention.query_key_value.out_features for block in small.blocks]
    assert sum(rows) == 4 * 3 * 4  # heads times (q, k, v) times their width
    torch.testing.assert_close(small(x), pruned(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"allocation": "row"}, 'allocation "row" is for single weights'),
        ({"solver": "alps"}, "solver 'alps' chooses single weights"),
        ({"density": 0.001}, "too few for one unit in every layer"),
        ({"granularity": "head"}, "no attention head of Sequential can be removed"),
    ],
)
def test_what_does_not_go_with_units_is_told_in_a_sentence(
    settings: dict[str, str | float], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        nets.prune(convolutional(), torch.randn(40, 3, 6, 6), **{"granularity": "channel", **settings})


def test_a_network_of_several_inputs_is_refused_with_the_remedy() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.b(torch.relu(self.a(x + y)))

    batches = [(torch.randn(20, 4), torch.randn(20, 4)) for _ in range(3)]
    with pytest.raises(ValueError, match="one input tensor"):
        nets.prune(Two(), batches, 0.5, granularity="channel")


def test_too_few_samples_without_a_ridge_are_told_in_a_sentence() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 5))
    with pytest.raises(ValueError, match="give more samples, or a larger ridge than 0"):
        nets.prune(model, torch.randn(20, 40), 0.5, granularity="channel", ridge=0)

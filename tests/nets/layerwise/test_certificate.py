"""Certificates: bounds that hold against brute force, and errors that are those of the network."""

from __future__ import annotations

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

import nets
from concave_sparsity import L1, MCP, Log, Penalty
from convex_analysis import MaskProblem, RegressionProblem, global_minimum, theorems
from nets.layerwise.certificate import Certificate, row_bounds
from nets.layerwise.rows import LayerProblem, prune_rows


def layer(seed: int, rows: int = 5, d: int = 10, n: int = 60, noise: float = 0.1) -> LayerProblem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) @ (np.eye(d) + 0.4 * rng.standard_normal((d, d)))
    w = rng.standard_normal((rows, d)) ** 3
    y = x @ w.T + noise * rng.standard_normal((n, rows))
    return LayerProblem.of(x.T @ x / n, w, cross=y.T @ x / n, squares=(y * y).mean(0))


@pytest.mark.parametrize("k", [2, 4, 7])
def test_no_support_of_the_size_beats_the_bound(k: int) -> None:
    tight = []
    for seed in range(8):
        problem = layer(seed)
        mask, values = prune_rows(problem, Log(0.1), [k] * 5)
        bounds = row_bounds(problem, mask, values, Log(0.1))
        for row in range(5):
            explained = 0.0
            for support in combinations(range(10), k):
                s = list(support)
                c = problem.correlations[row, s]
                explained = max(explained, float(c @ np.linalg.solve(problem.gram[np.ix_(s, s)], c)))
            best = (problem.squares[row] - explained) / problem.squares[row]
            assert bounds.best_counts[row] <= best + 1e-9
            tight.append(bounds.best_counts[row] / max(best, 1e-12))
        assert (bounds.gaps >= 0).all()
        assert (bounds.best_counts <= bounds.errors + 1e-12).all()
    if k == 7:  # chords say much where most weights stay, and little where few do
        assert np.median(tight) > 0.5


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0), L1()])
def test_the_penalised_objective_is_no_farther_from_its_global_minimum(penalty: Penalty) -> None:
    problem = layer(0, rows=2)
    mask, values = prune_rows(problem, penalty, [4, 4])
    bounds = row_bounds(problem, mask, values, penalty)
    scale = np.sqrt(np.diag(problem.gram))
    for row in range(2):
        size = np.sqrt(np.mean((problem.weights[row] * scale) ** 2))
        least = problem.squares[row] - problem.correlations[row] @ np.linalg.solve(
            problem.gram, problem.correlations[row]
        )
        # Any lam: the bound is about the best one found; with lam = 0 it is the distance to least squares.
        assert bounds.best_penalties[row] >= 0
        for lam in (0.001, 0.01):
            unit = RegressionProblem.from_moments(
                problem.gram / np.outer(scale, scale) * size**2,
                problem.correlations[row] / scale * size,
                mean_square=problem.squares[row],
                penalty=penalty,
                lam=lam,
                lower=-50.0,
                upper=50.0,
            )
            found = global_minimum(unit, gap=1e-4)
            assert unit.objective(values[row] * scale / size) >= found.lower_bound - 1e-9
            assert found.lower_bound >= 0.5 * least - 1e-6


def test_planted_masks_are_found_and_the_theorems_hold_there() -> None:
    rng = np.random.default_rng(0)
    n, d, k = 400, 30, 8
    x = rng.standard_normal((n, d))
    w = rng.choice([-1.0, 1.0], d) * rng.uniform(0.8, 1.2, d)
    target = np.arange(d) < k
    y = x @ (w * target) + 0.05 * rng.standard_normal(n)
    problem = LayerProblem.of(
        x.T @ x / n, w[None], ridge=0.0, cross=(y @ x / n)[None], squares=np.array([y @ y / n])
    )
    mask, values = prune_rows(problem, Log(0.1), [k])
    assert np.array_equal(mask[0], target)
    relaxed = MaskProblem(x, y, w, penalty=Log(0.1), lam=0.05)
    solution = nets_solution(relaxed)
    for theorem in (theorems.T2, theorems.T4):
        verdict = theorem.check(relaxed, target, solution)
        assert verdict.holds is not False
    assert np.abs(values[0, :k] - w[:k]).max() < 0.05


def nets_solution(problem: MaskProblem):  # type: ignore[no-untyped-def]
    from convex_analysis import majorize_minimize

    return majorize_minimize(problem)


def test_a_ticket_carries_its_certificate_through_a_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 4))
    x = torch.randn(400, 12)
    ticket = nets.prune(model, x, 0.5)
    certificate = ticket.certificate
    assert isinstance(certificate, Certificate)
    pruned = ticket.apply(copy.deepcopy(model))
    held = torch.cat([b for i, b in enumerate(torch.split(x, 40)) if i % 5 == 4])
    with torch.no_grad():
        change = float((pruned(held) - model(held)).norm() / model(held).norm())
        y = model[0](held)
        first = float((pruned[0](held) - y).square().sum() / (y - y.mean(0)).square().sum())
    assert certificate.output_change == pytest.approx(change, rel=1e-4)
    assert certificate.layers[0].held_out == pytest.approx(first, rel=1e-4)
    assert certificate.output_bound >= certificate.output_change
    for one in certificate.layers:
        assert one.best_count <= one.fitted * (1 + 1e-6)
        assert len(one.rows["errors"]) in (16, 4)
    loaded = nets.Ticket.load(ticket.save(tmp_path / "t.safetensors"))
    assert str(loaded.certificate) == str(certificate)
    assert "0.weight" in str(certificate)
    axes = certificate.plot()
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        layer.name for layer in certificate.layers
    ]
    assert certificate.plot(axes) is axes
    assert [row["name"] for row in certificate.table()] == ["0.weight", "2.weight"]

"""The rows of a layer against brute force, and what the search must never do."""

from __future__ import annotations

from itertools import combinations, product

import cvxpy as cp
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from concave_sparsity import L1, MCP, Log, Penalty
from nets.layerwise.local_search import improve
from nets.layerwise.rows import LayerProblem, Path, path_support, path_supports, prune_rows
from nets.layerwise.support import evenly

Array = NDArray[np.float64]


def layer(seed: int, rows: int = 6, d: int = 12, n: int = 60) -> LayerProblem:
    """A layer of correlated inputs whose wanted outputs are not quite those of its weights."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) * rng.uniform(0.3, 3.0, d)
    w = rng.standard_normal((rows, d))
    y = x @ w.T + 0.1 * rng.standard_normal((n, rows))
    return LayerProblem.of(x.T @ x / n, w, cross=y.T @ x / n, squares=(y * y).mean(0))


def best_error(problem: LayerProblem, row: int, supports: list[tuple[int, ...]]) -> float:
    values = []
    for support in supports:
        s = list(support)
        c = problem.correlations[row, s]
        values.append(float(c @ np.linalg.solve(problem.gram[np.ix_(s, s)], c)))
    return float(problem.squares[row]) - max(values)


def test_most_rows_are_at_the_global_minimum_of_their_count_and_none_is_far() -> None:
    counts, found, best = [3, 6], [], []
    for seed, k in product(range(12), counts):
        problem = layer(seed)
        mask, values = prune_rows(problem, Log(0.1), [k] * 6)
        assert (mask.sum(1) == k).all()
        found.append(problem.errors(values))
        supports = list(combinations(range(12), k))
        best.append([best_error(problem, row, supports) for row in range(6)])
    ratio = np.concatenate(found) / np.concatenate(best)
    assert (ratio > 1 - 1e-9).all()
    assert (ratio < 1 + 1e-6).mean() > 0.8
    assert np.quantile(ratio, 0.95) < 1.25


def test_patterns_of_a_group_are_weighed_together() -> None:
    admissible = [(*a, *(4 + j for j in b)) for a, b in product(list(combinations(range(4), 2)), repeat=2)]
    found, best = [], []
    for seed in range(12):
        problem = layer(seed, d=8)
        mask, values = prune_rows(problem, Log(0.1), "2:4")
        assert (mask.reshape(6, 2, 4).sum(2) == 2).all()
        found.append(problem.errors(values))
        best.append([best_error(problem, row, admissible) for row in range(6)])
    ratio = np.concatenate(found) / np.concatenate(best)
    assert (ratio > 1 - 1e-9).all()
    assert (ratio < 1 + 1e-6).mean() > 0.8


@pytest.mark.parametrize("width", [9, 10, 11])
def test_what_is_left_at_the_end_of_a_row_keeps_what_it_can(width: int) -> None:
    mask, _ = prune_rows(layer(0, d=width), Log(0.1), "2:4")
    assert (mask[:, 8:].sum(1) == min(2, width - 8)).all()


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0), L1()])
def test_the_search_never_makes_a_layer_worse_and_keeps_the_count(penalty: Penalty) -> None:
    for seed in range(5):
        problem = layer(seed, rows=8, d=30, n=200)
        start = path_support(problem, penalty, 96)
        mask, values = prune_rows(problem, penalty, 96)
        assert start.sum() == mask.sum() == 96
        before = problem.errors(problem.on(start)).sum()
        assert problem.errors(values).sum() <= before
        assert np.array_equal(values != 0, mask)


def test_one_run_along_lam_gives_the_supports_of_several() -> None:
    problem = layer(2, rows=5, d=20, n=100)
    counts = [90, 40, 7]
    for count, mask in zip(counts, path_supports(problem, Log(0.1), counts)):
        assert np.array_equal(mask, path_support(problem, Log(0.1), count))


@pytest.mark.parametrize(
    ("penalty", "lam"),
    [(L1(), 0.003), (L1(), 0.1), (L1(), 0.6), (Log(0.1), 0.1), (Log(0.1), 0.6), (MCP(3.0), 0.1)],
)
def test_steps_at_one_lam_end_at_the_reweighted_l1_solution(penalty: Penalty, lam: float) -> None:
    """Majorize-minimize at rest: cvxpy's solution with the weights of the last point is that point."""
    problem = layer(4, rows=4)
    _, gram, correlations = problem.scaled
    path = Path(problem, penalty, False, "cpu", torch.float64)
    for _ in range(1500):
        path.lam = lam
        path.step()
    found = path.z.numpy()
    weights = lam * np.asarray(penalty.derivative(np.abs(found)))
    size = path.right.numpy() / correlations
    solution = cp.Variable(found.shape)
    fit = 0.5 * cp.sum_squares(solution @ np.linalg.cholesky(gram)) - cp.sum(
        cp.multiply(correlations * size, solution)
    )
    cp.Problem(cp.Minimize(fit + cp.sum(cp.multiply(weights, cp.abs(solution))))).solve(cp.CLARABEL)
    assert lam < 0.01 or 0 < (found != 0).sum() < found.size
    np.testing.assert_allclose(found, solution.value, atol=1e-5)


def test_no_single_exchange_helps_once_the_search_is_over() -> None:
    problem = layer(3, rows=2, d=14)
    mask, values = prune_rows(problem, Log(0.1), [6, 6])
    errors = problem.errors(values)
    for row in range(2):
        inside = np.flatnonzero(mask[row])
        others = [tuple(sorted({*inside, j} - {i})) for i in inside for j in np.flatnonzero(~mask[row])]
        assert best_error(problem, row, others) >= errors[row] * (1 - 1e-3)


def test_values_for_comparisons_are_near_the_exact_ones() -> None:
    for seed, d in ((0, 40), (1, 150)):
        problem = layer(seed, rows=30, d=d, n=400)
        mask = path_support(problem, Log(0.1), 30 * d // 3)
        mask[0] = False
        exact, near = problem.on(mask), problem.nearly_on(mask)
        assert (near[~mask] == 0).all()
        assert np.isfinite(near).all()
        assert (problem.errors(near) >= problem.errors(exact) * (1 - 1e-5)).all()
        assert problem.errors(near).sum() <= 1.01 * problem.errors(exact).sum()


def test_rows_done_side_by_side_are_the_same_rows() -> None:
    problem = layer(1, rows=16, d=40, n=200)
    start = path_support(problem, Log(0.1), 320)
    scale = np.sqrt(np.diag(problem.gram))
    gram, right = problem.gram / np.outer(scale, scale), problem.correlations / scale
    one, before = improve(gram, right, problem.squares, start, joint=True, threads=1)
    two, again = improve(gram, right, problem.squares, start, joint=True, threads=3)
    assert np.array_equal(one, two)
    assert np.array_equal(before, again)
    np.testing.assert_allclose(before, problem.errors(problem.on(start)), rtol=1e-9)


def test_large_supports_are_searched_as_exactly() -> None:
    """Above 256 weights the inverse is in single precision first, and the refitted row is refined."""
    problem = layer(4, rows=2, d=560, n=700)
    start = path_support(problem, Log(0.1), 700)
    scale = np.sqrt(np.diag(problem.gram))
    gram, right = problem.gram / np.outer(scale, scale), problem.correlations / scale
    better, before = improve(gram, right, problem.squares, start)
    np.testing.assert_allclose(before, problem.errors(problem.on(start)), rtol=1e-9)
    assert (problem.errors(problem.on(better)) < before).all()


def test_a_penalty_of_the_users_own_is_enough() -> None:
    class Root(Penalty):
        def value(self, t):  # type: ignore[no-untyped-def]
            return ((t + 0.01) ** 0.5 - 0.1) / (1.01**0.5 - 0.1)

        def derivative(self, t):  # type: ignore[no-untyped-def]
            return 0.5 * (t + 0.01) ** -0.5 / (1.01**0.5 - 0.1)

    mask, _ = prune_rows(layer(0), Root(), evenly(30, 6))
    assert mask.sum() == 30


@pytest.mark.parametrize("counts", [24, "2:4"])
def test_inputs_too_much_alike_for_single_precision_are_no_reason_to_fail(counts: int | str) -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((50, 4)), 2, axis=1) + 1e-6 * rng.standard_normal((50, 8))
    problem = LayerProblem.of(x.T @ x / 50, rng.standard_normal((6, 8)), ridge=1e-10)
    plain, path = prune_rows(problem, Log(0.1), counts, search=False)
    mask, values = prune_rows(problem, Log(0.1), counts)
    assert mask.sum() == plain.sum() == 24
    assert problem.errors(values).sum() <= problem.errors(path).sum() * (1 + 1e-6) + 1e-9

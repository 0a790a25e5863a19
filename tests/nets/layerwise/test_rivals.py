"""The rivals against the equations of their papers, written out naively, and against brute force."""

import functools
import heapq
import itertools

import numpy as np
import pytest

from nets.layerwise import alps, layer_solver, obc, sparsegpt
from nets.layerwise.support import choose, damped, density_count, refit, relative_error

RIVALS = ["magnitude", "wanda", "sparsegpt", "obc", "alps", "sparsegpt+refit", "alps+refit"]


def layer(seed, out=6, d=40, n=120):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((d, d)) / np.sqrt(d) + np.eye(d)
    x = rng.standard_normal((n, d)) @ mixing
    return rng.standard_normal((out, d)), x.T @ x / n


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("density", [0.5, 0.1, 0.37, 1.0])
def test_the_count_is_exact(name, density):
    w, gram = layer(0, d=39)
    assert np.count_nonzero(layer_solver(name)(w, gram, density)) == density_count(density, w.size)


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize(("pattern", "d"), [("2:4", 40), ("2:4", 39), ("2:4", 37), ("1:4", 38), ("3:8", 40)])
def test_the_pattern_is_exact(name, pattern, d):
    w, gram = layer(1, d=d)
    mask = layer_solver(name)(w, gram, pattern) != 0
    n, m = map(int, pattern.split(":"))
    for start in range(0, d, m):
        assert (mask[:, start : start + m].sum(axis=1) == min(n, d - start)).all()


@pytest.mark.parametrize("name", RIVALS)
def test_the_arguments_stay_as_they_were(name):
    w, gram = layer(2)
    before = w.copy(), gram.copy()
    layer_solver(name)(w, gram, 0.3)
    assert (w == before[0]).all()
    assert (gram == before[1]).all()


def test_magnitude_keeps_the_largest_of_the_layer():
    w, gram = layer(3)
    pruned = layer_solver("magnitude")(w, gram, 0.25)
    threshold = np.sort(np.abs(w), axis=None)[-density_count(0.25, w.size)]
    assert (pruned == np.where(np.abs(w) >= threshold, w, 0)).all()


def test_wanda_is_its_equation_1():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((50, 8)) * np.arange(1, 9), rng.standard_normal((5, 8))
    pruned = layer_solver("wanda")(w, x.T @ x / 50, 0.5)
    score = np.abs(w) * np.linalg.norm(x, axis=0)
    for row, dense, values in zip(pruned, w, score):
        assert (row == np.where(values >= np.sort(values)[4], dense, 0)).all()


def sparsegpt_by_its_equations(w, gram, density, block):
    """Masks block by block, the optimal brain surgeon's update on the columns behind: every inverse anew."""
    w, d = w.copy(), len(gram)
    hessian = damped(gram, 0.01)
    group = int(density.split(":")[1]) if isinstance(density, str) else block
    mask = np.ones(w.shape, dtype=bool)
    for j in range(d):
        if j % group == 0:
            end = min(j + group, d)
            spread = [np.linalg.inv(hessian[i:, i:])[0, 0] for i in range(j, end)]
            scores = w[:, j:end] ** 2 / np.array(spread)
            if isinstance(density, str):
                mask[:, j:end] = choose(scores, density)
            else:
                count = density_count(density, w.size) * np.array([j, end]) // d
                order = np.argsort(-scores, axis=None, kind="stable")[: count[1] - count[0]]
                mask[:, j:end].flat = np.isin(np.arange(scores.size), order)
        inverse = np.linalg.inv(hessian[j:, j:])
        for row, kept in zip(w, mask[:, j]):
            if not kept:
                row[j:] -= row[j] / inverse[0, 0] * inverse[0]
                row[j] = 0.0
    return w


@pytest.mark.parametrize("density", [0.5, 0.2, "2:4", "1:4"])
@pytest.mark.parametrize("d", [40, 38])
def test_sparsegpt_is_the_surgeon_on_the_columns_behind(monkeypatch, density, d):
    monkeypatch.setattr(sparsegpt, "BLOCK", 16)
    w, gram = layer(5, d=d)
    expected = sparsegpt_by_its_equations(w, gram, density, 16)
    np.testing.assert_allclose(sparsegpt.prune_layer(w, gram, density), expected, atol=1e-9)


def test_sparsegpt_takes_weights_of_dead_inputs_first_to_zero():
    w, gram = layer(6)
    gram[3], gram[:, 3] = 0.0, 0.0
    assert (sparsegpt.prune_layer(w, gram, 0.9)[:, 3] == 0).all()


def test_the_factor_of_the_inverse_is_upper_triangular():
    _, gram = layer(7)
    factor = sparsegpt.inverse_factor(gram)
    np.testing.assert_allclose(factor.T @ factor, np.linalg.inv(gram), atol=1e-10)
    assert (np.tril(factor, -1) == 0).all()


def greedy(row, hessian, steps, m, most):
    """Remove what raises the refitted error least, each try a least squares of its own."""
    mask, order, errors = np.ones(len(row), dtype=bool), [], [0.0]
    for _ in range(steps):
        tries = {}
        for p in np.flatnonzero(mask):
            if (~mask[p // m * m : p // m * m + m]).sum() < most:
                now = mask & (np.arange(len(row)) != p)
                change = refit(row[None], hessian, now[None])[0] - row
                tries[p] = change @ hessian @ change
        best = min(tries, key=tries.get)
        mask[best] = False
        order.append(best)
        errors.append(tries[best])
    return order, np.diff(errors)


@pytest.mark.parametrize(("m", "most"), [(12, 12), (4, 2), (4, 3)])
def test_each_removal_of_obc_is_the_one_that_costs_least(m, most):
    w, gram = layer(8, out=3, d=12)
    hessian = damped(gram, 0.01)
    steps = 12 // m * most - (m == 12)
    order, costs = obc.removals(w, np.linalg.inv(hessian), m, np.full(12 // m, most))
    for row, places, paid in zip(w, order, costs):
        expected, increase = greedy(row, hessian, steps, m, most)
        assert list(places[:steps]) == expected
        np.testing.assert_allclose(paid[:steps], increase, rtol=1e-8)


def test_obc_merges_the_rows_as_a_heap_would():
    costs = np.random.default_rng(9).exponential(size=(5, 7))
    for count in range(35):
        heap = [(costs[i, 0], i, 0) for i in range(5)]
        heapq.heapify(heap)
        done = np.zeros(5, dtype=int)
        for _ in range(count):
            _, i, k = heapq.heappop(heap)
            done[i] += 1
            if k + 1 < 7:
                heapq.heappush(heap, (costs[i, k + 1], i, k + 1))
        assert (obc.merged(costs, count) == done).all()


def test_obc_leaves_the_least_squares_on_its_support():
    w, gram = layer(10)
    pruned = obc.prune_layer(w, gram, 0.3)
    np.testing.assert_allclose(pruned, refit(w, damped(gram, 0.01), pruned != 0))


def alps_by_its_equations(w, gram, density, steps):
    """Follow algorithm 1 column of outputs by column, every system solved anew."""
    hessian = damped(gram, 0.01)
    e = np.diag(1 / np.sqrt(np.diag(hessian)))
    h, dense = e @ hessian @ e, np.linalg.inv(e) @ w.T
    k = density_count(density, w.size)

    def top(matrix):  # of the layer as it lies, outputs first
        order = np.argsort(-np.abs(matrix.T), axis=None, kind="stable")[:k]
        return np.where(np.isin(np.arange(w.size), order).reshape(w.shape).T, matrix, 0)

    first = d = top(dense)
    v, rho, past, moved = np.zeros_like(d), 0.1, d != 0, False
    for t in range(1, steps + 1):
        weights = np.linalg.solve(h + rho * np.eye(len(h)), h @ dense - v + rho * d)
        d = top(weights + v / rho)
        v = v + rho * (weights - d)
        if t % 3 == 0:
            s, past = ((d != 0) != past).sum(), d != 0
            if s == 0 and moved:
                break
            if s >= 0.1 * k:
                rho, moved = 1.3 * rho, True
            elif s >= 0.005 * k:
                rho, moved = 1.2 * rho, True
            elif moved:
                rho = 1.1 * rho
            else:
                rho, d, v, past = rho / 5, first, np.zeros_like(d), first != 0
                moved = rho < 1e-4
    return d, dense, h


@pytest.mark.parametrize("density", [0.5, 0.2, 0.05])
def test_the_splitting_of_alps_is_its_algorithm_1(density):
    w, gram = layer(11)
    expected, dense, h = alps_by_its_equations(w, gram, density, 300)
    np.testing.assert_allclose(alps.split(dense.T, h, density), expected.T, atol=1e-8)


def test_a_rho_that_is_too_large_is_taken_back():
    rng = np.random.default_rng(12)
    w, gram = rng.standard_normal((6, 40)), np.eye(40) * 1e-6 + np.diag(rng.random(40))
    expected, dense, h = alps_by_its_equations(w, gram, 0.5, 300)
    np.testing.assert_allclose(alps.split(dense.T, h, 0.5), expected.T, atol=1e-8)


def test_the_conjugate_gradients_of_alps_reach_the_least_squares_on_few_places():
    w, gram = layer(13, d=10)
    pruned = alps.prune_layer(w, gram, 0.5)
    np.testing.assert_allclose(pruned, refit(w, damped(gram, 0.01), pruned != 0), atol=1e-6)


@functools.cache
def best_of_all(seed):
    """Return a row, its Gram matrix and the least error of all supports of four of its nine weights."""
    w, gram = layer(100 + seed, out=1, d=9, n=30)
    hessian = damped(gram, 0.01)
    masks = np.array([np.isin(np.arange(9), places) for places in itertools.combinations(range(9), 4)])
    pruned = refit(np.repeat(w, len(masks), axis=0), hessian, masks)
    return w, gram, min(relative_error(w, row[None], hessian) for row in pruned)


@pytest.mark.parametrize("name", RIVALS)
def test_none_is_better_than_the_best_of_all_supports_and_the_strong_ones_are_often_that(name):
    found = 0
    for seed in range(20):
        w, gram, best = best_of_all(seed)
        error = relative_error(w, layer_solver(name)(w, gram, 4 / 9), damped(gram, 0.01))
        assert error >= best * (1 - 1e-9)
        found += error <= best * (1 + 1e-6)
    assert found >= {"obc": 10, "alps": 8, "alps+refit": 8}.get(name, 0)

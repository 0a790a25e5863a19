"""Better supports by exact exchanges: what one row loses or gains when a weight leaves, enters or both.

With the inverse P of G on the support S and the Schur complement C = G - G_TS P G_ST on the rest T, the mean
squared error of a refitted row grows by v_i^2 / P_ii when i leaves, falls by r_j^2 / C_jj when j enters
(r = c - G v), and an exchange of i for j is one followed by the other. All of it stands in one symmetric
matrix that a move changes by a pivot, so every exchange is weighed exactly and the best is made until none
helps. (Optimal Brain Surgeon's formulas: Hassibi, Stork 1993; in both directions.)
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from convex_analysis.threads import one_thread
from nets.layerwise.support import Mask, Weights, least_squares

#: Candidates a row on either side, a quarter of its weights between these bounds. Half as many lose 0.1% of
#: the error of a row of 1536 weights, twice as many gain less than 0.01% of one of 384 (sentence encoder).
LEAST, MOST = 96, 256
MOST_PATTERNS = 1000
#: Rows of a triangular matrix that are inverted together.
BLOCK = 48
#: Exchanges stop when the best gains less than this share of the row's error.
SMALLEST_GAIN = 3e-4
#: Nor does a gain below this share of the row's mean square matter to anybody.
SMALLEST_SHARE = 1e-6

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _inverse(factor: Any) -> Any:
    """Return the inverse of a lower triangular matrix, by blocks of rows."""
    n = len(factor)
    inverse = np.zeros_like(factor)
    for first in range(0, n, BLOCK):
        last = min(n, first + BLOCK)
        for j in range(first, last):
            inverse[j, j] = np.float32(1.0) / factor[j, j]
            for i in range(j + 1, last):
                total = np.float32(0.0)
                for b in range(j, i):
                    total += factor[i, b] * inverse[b, j]
                inverse[i, j] = -total * (np.float32(1.0) / factor[i, i])
        if first:
            left = np.ascontiguousarray(factor[first:last, :first])
            product = np.dot(left, np.ascontiguousarray(inverse[:first, :first]))
            own = np.ascontiguousarray(inverse[first:last, first:last])
            inverse[first:last, :first] = -np.dot(own, product)
    return inverse


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _fit(gram: Any, right: Any, support: Any, rest: Any) -> Any:
    """Return L^-1 with G = L L' on the support, the refitted row v there, r on the rest, and v_i^2 / P_ii."""
    k, t = len(support), len(rest)
    inner = np.empty((k, k), dtype=np.float32)
    wanted = np.empty(k)
    for a in range(k):
        wanted[a] = right[support[a]]
        row = gram[support[a]]
        for b in range(k):
            inner[a, b] = row[support[b]]
    inverse = _inverse(np.linalg.cholesky(inner))
    values, remaining = np.zeros(k), wanted.copy()
    for _ in range(2):  # once more for what rounding left
        half = np.dot(inverse, remaining.astype(np.float32))
        values += np.dot(half, inverse)
        for a in range(k):
            total = 0.0
            for b in range(k):
                total += inner[a, b] * values[b]
            remaining[a] = wanted[a] - total
    residual, cost = np.empty(t), np.zeros(k)
    for a in range(t):
        total = 0.0
        row = gram[rest[a]]
        for b in range(k):
            total += row[support[b]] * values[b]
        residual[a] = right[rest[a]] - total
    for a in range(k):
        for b in range(a + 1):
            cost[b] += inverse[a, b] * inverse[a, b]
    for b in range(k):
        cost[b] = values[b] * values[b] / cost[b]
    return inverse, values, residual, cost, np.dot(values, wanted)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _tableau(
    gram: Any, support: Any, rest: Any, inverse: Any, values: Any, residual: Any, inside: Any, outside: Any
) -> Any:
    """Return the candidates, first those of the support, their matrix K and their vector.

    K is -P on the support, C on the rest and G_TS P between them; the vector is v and r. With X = L^-1 of
    unit vectors of the one and of columns of G of the other, all of it stands in X'X.
    """
    k, ks, kt = len(support), len(inside), len(outside)
    X = np.empty((ks + kt, k), dtype=np.float32)
    vector = np.empty(ks + kt, dtype=np.float32)
    places = np.empty(ks + kt, dtype=np.int64)
    between = np.empty((kt, k), dtype=np.float32)
    for a in range(ks):
        vector[a], places[a] = values[inside[a]], support[inside[a]]
        for b in range(k):
            X[a, b] = inverse[b, inside[a]]
    for a in range(kt):
        vector[ks + a], places[ks + a] = residual[outside[a]], rest[outside[a]]
        row = gram[rest[outside[a]]]
        for b in range(k):
            between[a, b] = row[support[b]]
    X[ks:] = np.dot(between, inverse.T)
    K = np.dot(X, X.T)
    for a in range(ks):
        for b in range(ks):
            K[a, b] = -K[a, b]
    for a in range(ks, ks + kt):
        row = gram[places[a]]
        for b in range(ks, ks + kt):
            K[a, b] = row[places[b]] - K[a, b]
        K[a, a] = max(K[a, a], np.float32(1e-7))
    return places, K, vector


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _pivot(K: Any, vector: Any, j: int) -> None:
    """Let j enter the support, or leave it."""
    n = len(vector)
    column = K[j].copy()
    value = vector[j]
    inverse = np.float32(1.0) / column[j]
    size = abs(inverse)
    for a in range(n):
        factor = column[a] * inverse
        row = K[a]
        for b in range(n):
            row[b] -= factor * column[b]
        vector[a] -= factor * value
    for a in range(n):
        K[j, a] = K[a, j] = column[a] * size
    K[j, j] = -inverse
    vector[j] = value * size


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _best_exchange(K: Any, vector: Any, inside: Any, outside: Any, least: float) -> tuple[int, int, float]:
    """Return the pair (leaves, enters) that lowers the error most, by more than `least`; -1 if none does.

    `inside` and `outside` are 1 where a candidate is in the support or not, else 0.
    """
    n = len(vector)
    best, leaves, enters = np.float32(least), -1, -1
    for i in range(n):
        if inside[i] == 0:
            continue
        inverse = np.float32(-1.0) / K[i, i]
        step = vector[i] * inverse
        cost = vector[i] * step
        row = K[i]
        top = np.float32(0.0)
        for j in range(n):
            x = row[j]
            slope = vector[j] + x * step
            top = max(top, outside[j] * slope * slope / (abs(K[j, j]) + x * x * inverse))
        if top - cost > best:
            best, leaves = top - cost, i
            near = np.float32(1.0 - 1e-6) * top  # the compiler may round the two loops differently
            for j in range(n):
                x = row[j]
                slope = vector[j] + x * step
                if outside[j] * slope * slope / (abs(K[j, j]) + x * x * inverse) >= near:
                    enters = j
                    break
    return leaves, enters, float(best)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _margin(
    K: Any, vector: Any, inside: Any, outside: Any, enter: bool, places: Any, ids: Any, out: Any
) -> None:
    """Note which weights enter (or leave) one after another, and by how much the error changes each time."""
    K, vector, inside, outside = K.copy(), vector.copy(), inside.copy(), outside.copy()
    for step in range(len(ids)):
        best, chosen = np.inf, -1
        for j in range(len(vector)):
            if (outside[j] if enter else inside[j]) == 0:
                continue
            change = vector[j] ** 2 / abs(K[j, j])
            change = -change if enter else change
            if change < best:
                best, chosen = change, j
        if chosen < 0:
            return
        ids[step], out[step] = places[chosen], abs(best)
        inside[chosen], outside[chosen] = 1 - inside[chosen], 1 - outside[chosen]
        _pivot(K, vector, chosen)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _improve(
    gram: Any, right: Any, square: float, mask: Any, limit: int, share: float, moves: int, removed: Any,
    costs: Any, added: Any, gains: Any, start: Any,
) -> None:  # fmt: skip
    """Exchange weights of one row's support, in place; note what further removals and entries would do.

    `start` becomes the row refitted on the support before.
    """
    support, rest = np.flatnonzero(mask), np.flatnonzero(~mask)
    inverse, values, residual, cost, explained = _fit(gram, right, support, rest)
    start[support] = values
    inner = np.argsort(cost, kind="mergesort")[:limit]
    outer = np.argsort(-(residual * residual), kind="mergesort")[:limit]
    places, K, vector = _tableau(gram, support, rest, inverse, values, residual, inner, outer)
    n, ks = len(places), len(inner)
    inside, outside = np.zeros(n, dtype=np.float32), np.ones(n, dtype=np.float32)
    inside[:ks], outside[:ks] = 1.0, 0.0
    error = square - explained
    for _ in range(moves):
        leaves, enters, gain = _best_exchange(
            K, vector, inside, outside, max(share * error, SMALLEST_SHARE * square)
        )
        if leaves < 0:
            break
        _pivot(K, vector, leaves)
        _pivot(K, vector, enters)
        inside[leaves], outside[leaves], inside[enters], outside[enters] = 0.0, 1.0, 1.0, 0.0
        mask[places[leaves]], mask[places[enters]] = False, True
        error -= gain
    if len(removed):
        _margin(K, vector, inside, outside, False, places, removed, costs)
        _margin(K, vector, inside, outside, True, places, added, gains)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _best_pattern(
    K: Any, vector: Any, inside: Any, patterns: Any, m: int, least: float
) -> tuple[int, int, float]:
    """Return the group and the pattern that lower the error most, by more than `least`, and by how much.

    -1 if none does.

    With a whole group out, a pattern p of it gains b_p' C_pp^-1 b_p, all the rest refitted.
    """
    best, where, which = least, -1, -1
    small, out = np.empty((m, m)), np.empty(m)
    chosen, factor = np.empty(m, dtype=np.int64), np.empty((m, m))
    solved = np.empty(m)
    for g in range(len(vector) // m):
        first = g * m
        for a in range(m):
            out[a] = vector[first + a]
            for b in range(m):
                small[a, b] = K[first + a, first + b]
        for j in range(m):
            if inside[first + j] == 1:  # as in `_pivot`
                inverse, value = 1.0 / small[j, j], out[j]
                column = small[j].copy()
                for a in range(m):
                    for b in range(m):
                        small[a, b] -= column[a] * inverse * column[b]
                    out[a] -= column[a] * inverse * value
                for a in range(m):
                    small[j, a] = small[a, j] = column[a] * abs(inverse)
                small[j, j], out[j] = -inverse, value * abs(inverse)
        present, top, candidate = 0.0, -1.0, -1
        for p in range(len(patterns)):
            n, same = 0, True
            for a in range(m):
                if patterns[p, a] == 1:
                    chosen[n] = a
                    n += 1
                same = same and patterns[p, a] == inside[first + a]
            worth = 0.0
            for a in range(n):
                total = out[chosen[a]]
                for b in range(a):
                    entry = small[chosen[a], chosen[b]]
                    for c in range(b):
                        entry -= factor[a, c] * factor[b, c]
                    factor[a, b] = entry / factor[b, b]
                    total -= factor[a, b] * solved[b]
                pivot = small[chosen[a], chosen[a]]
                for c in range(a):
                    pivot -= factor[a, c] ** 2
                factor[a, a] = np.sqrt(max(pivot, 1e-12))
                solved[a] = total / factor[a, a]
                worth += solved[a] ** 2
            if same:
                present = worth
            if worth > top:
                top, candidate = worth, p
        if top - present > best:
            best, where, which = top - present, g, candidate
    return where, which, best


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _improve_patterns(
    gram: Any, right: Any, square: float, mask: Any, patterns: Any, share: float, moves: int, start: Any
) -> None:  # fmt: skip
    """Give groups of one row better patterns, in place; only whole groups have a choice.

    All weights are candidates. `start` becomes the row refitted on the support before.
    """
    m = patterns.shape[1]
    support, rest = np.flatnonzero(mask), np.flatnonzero(~mask)
    inverse, values, residual, _, explained = _fit(gram, right, support, rest)
    start[support] = values
    inner, outer = np.arange(len(support)), np.arange(len(rest))
    places, found, vector = _tableau(gram, support, rest, inverse, values, residual, inner, outer)
    order = np.argsort(places)
    K, vector = found[order][:, order], vector[order]
    inside = mask.astype(np.float32)
    error = square - explained
    for _ in range(moves):
        g, p, gain = _best_pattern(
            K, vector, inside, patterns, m, max(share * error, SMALLEST_SHARE * square)
        )
        if g < 0:
            break
        for way in range(2):  # first who leaves, then who enters
            for a in range(m):
                j = g * m + a
                if (way == 0 and inside[j] == 1 and patterns[p, a] == 0) or (
                    way == 1 and inside[j] == 0 and patterns[p, a] == 1
                ):
                    _pivot(K, vector, j)
                    inside[j] = 1.0 - inside[j]
                    mask[j] = not mask[j]
        error -= gain


def improve(
    gram: Weights,
    correlations: Weights,
    squares: Weights,
    mask: Mask,
    *,
    joint: bool = False,
    groups: tuple[int, int] | None = None,
    moves: int = 200,
    threads: int = 1,
) -> tuple[Mask, Weights]:
    """Return supports that no exchange of two weights of a row makes much better, of the same number.

    Beside them the errors of the refitted rows before, shape (out,); NaN of rows that were not looked at.
    Of wide rows only some weights are candidates: those that are cheapest to lose, and of steepest slope.

    Under N:M the moves are the patterns of one group of M; for more than 1000 patterns a group, it is left
    as it is.

    Parameters
    ----------
    gram : ndarray, shape (d, d)
        Positive definite, best of unit diagonal: the search is in single precision.
    correlations : ndarray, shape (out, d)
        Rows c; the error of a row is v'G v - 2 c'v + its square.
    squares : ndarray, shape (out,)
        Constants of the rows.
    mask : ndarray of bool, shape (out, d)
        Supports to start from; left as they are.
    joint : bool
        Whether weights may move from one row to another where that lowers the sum of the errors.
    groups : tuple of int, optional
        N and M.
    moves : int
        Largest number of exchanges a row.
    threads : int
        Rows are done side by side; the result does not depend on it.
    """
    rows, d = mask.shape
    mask = mask.copy()
    reach = max(4, d // 32) if joint else 0
    removed, added = np.full((rows, reach), -1), np.full((rows, reach), -1)
    costs, gains = np.full((rows, reach), np.inf), np.zeros((rows, reach))

    table = np.zeros((0, 1), dtype=np.int64)
    if groups is not None:
        if comb(groups[1], groups[0]) > MOST_PATTERNS:
            return mask, np.full(rows, np.nan)
        table = _patterns(*groups)

    single, damped = gram.astype(np.float32), (gram + 1e-5 * np.eye(d)).astype(np.float32)
    limit = min(MOST, max(LEAST, d // 4))
    start = np.zeros((rows, d))
    before = np.full(rows, np.nan)

    def one(i: int, of: Any) -> None:
        if groups is not None:
            _improve_patterns(of, correlations[i], squares[i], mask[i], table, SMALLEST_GAIN, moves, start[i])
        else:
            _improve(
                of, correlations[i], squares[i], mask[i], limit, SMALLEST_GAIN, moves,
                removed[i], costs[i], added[i], gains[i], start[i],
            )  # fmt: skip

    def tried(i: int) -> bool:
        """Improve a row; tell whether its Gram matrix was too near to singular for single precision."""
        try:
            one(i, single)
        except np.linalg.LinAlgError:
            mask[i] = given[i]
            with suppress(np.linalg.LinAlgError):
                one(i, damped)
            return True
        return False

    given = mask.copy()
    todo = np.flatnonzero(mask.any(1) & ~mask.all(1))
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        hard = todo[list(pool.map(tried, todo))]
    if len(hard):
        start[hard] = least_squares(correlations[hard], gram, given[hard])
    inner = np.einsum("od,od->o", start[todo] @ gram - 2.0 * correlations[todo], start[todo])
    before[todo] = inner + squares[todo]
    if joint:
        _transfer(mask, removed, costs, added, gains)
    return mask, before


def _patterns(n: int, m: int) -> NDArray[np.int64]:
    """Return all ways of keeping n of m, shape (patterns, m), of zeros and ones."""
    table = np.zeros((comb(m, n), m), dtype=np.int64)
    for row, kept in zip(table, combinations(range(m), n)):
        row[list(kept)] = 1
    return table


def _transfer(
    mask: Mask, removed: NDArray[np.int64], costs: Weights, added: NDArray[np.int64], gains: Weights
) -> None:
    """Move weights from rows that lose little to rows that gain more, in place; a row gives or takes."""
    rows, reach = costs.shape
    place = np.zeros(rows, dtype=np.int64)  # how many a row has taken, or given if negative
    giving = [(costs[i, 0], i) for i in range(rows)]
    taking = [(-gains[i, 0], i) for i in range(rows)]
    heapq.heapify(giving)
    heapq.heapify(taking)
    while giving and taking:
        cost, i = giving[0]
        gain, j = taking[0]
        if place[i] > 0:
            heapq.heappop(giving)
        elif place[j] < 0:
            heapq.heappop(taking)
        elif not -gain > cost * (1.0 + SMALLEST_GAIN):
            break
        elif i == j:  # exchanges within a row have been made
            heapq.heappop(giving)
        else:
            mask[i, removed[i, -place[i]]], mask[j, added[j, place[j]]] = False, True
            place[i] -= 1
            place[j] += 1
            heapq.heappop(giving)
            heapq.heappop(taking)
            if -place[i] < reach:
                heapq.heappush(giving, (costs[i, -place[i]], i))
            if place[j] < reach:
                heapq.heappush(taking, (-gains[j, place[j]], j))

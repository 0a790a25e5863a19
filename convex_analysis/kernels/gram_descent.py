"""The kernel of every convex step: a quadratic with weighted l1 and a box, on its Gram matrix.

Coordinate descent finds the pattern (which coordinates are free, their signs); as soon as the
pattern rests, or descent has cost more than a factorisation, Newton's method on the free
coordinates moves to the minimum of the face. Where that step would leave the face it is cut
there, the coordinate that hit is taken out of the Cholesky factor, and the step goes on:
an active-set method whose every move decreases the objective.
"""

from __future__ import annotations

from typing import Any

from concave_sparsity.compilation import compiled
from convex_analysis.kernels.cholesky import factor, mirror, remove, solve_lower, solve_upper

# Newton waits until descent has cost this many times as much since the last factorisation.
_PATIENCE = 3.0
# A multiply-add of the blocked factorisation costs about a quarter of one of the row updates.
_FACTOR_SPEED = 0.25
_FIRST_RIDGE = 1e-10
# Descent on a convex problem cannot get here; on one bent into a nonconvex shape it runs away.
_DIVERGED = 1e100


@compiled
def minimise(
    G: Any,
    curvature: Any,
    gradient: Any,
    x: Any,
    weights: Any,
    lower: Any,
    upper: Any,
    size: int,
    tolerance: float,
    max_epochs: int,
    bent: bool,
    L: Any,
    free: Any,
    work: Any,
) -> int:
    """Minimise ``x'Hx/2 - q'x + weights'|x|`` over the box, in place.

    Parameters
    ----------
    G
        Gram matrix, off-diagonal entries of H, in the leading block of a C-ordered array.
    curvature
        Diagonal of H, shape (size,): that of G, or lowered by the bend of a concave penalty.
    gradient
        ``Hx - q``, shape (size,); kept up to date.
    x, weights, lower, upper
        Point inside the box (changed in place), weights (not negative), bounds; shape (size,).
    tolerance
        Stop when no first-order violation met in a pass exceeds it (units of the gradient).
    max_epochs
        Largest number of passes of coordinate descent.
    bent
        Whether the curvature was lowered: a singular face then means a problem that is not convex.
    L
        Scratch, float64, C-ordered, at least (size, size).
    free, work
        Scratch: integers of shape (size,), float64 of shape (4, size).

    Returns
    -------
    int
        Passes of coordinate descent; negative if they ran out before the tolerance, 0 if H is not
        positive semidefinite on the free coordinates (a bend that outweighs G).
    """
    step, rhs, origin, spare = work[0], work[1], work[2], work[3]
    ridge = 0.0
    cost = 0.0
    still = 0.1 * tolerance
    for epoch in range(max_epochs):
        worst = 0.0
        moved = 0
        pattern_changed = False
        for j in range(size):
            old, slope, weight = x[j], gradient[j], weights[j]
            if old == 0.0 and -weight <= slope <= weight:
                continue
            c = curvature[j]
            if c <= 0.0:
                continue
            target = old - slope / c
            threshold = weight / c
            if target > threshold:
                new = target - threshold
            elif target < -threshold:
                new = target + threshold
            else:
                new = 0.0
            new = min(max(new, lower[j]), upper[j])
            delta = new - old
            violation = abs(delta) * c
            # Small moves wait for the next round, but a move to a kink or a bound is exact: it is made.
            if delta == 0.0 or (violation <= still and new != 0.0 and lower[j] < new < upper[j]):
                continue
            worst = max(worst, violation)
            moved += 1
            x[j] = new
            row = G[j]
            for k in range(size):
                gradient[k] += delta * row[k]
            gradient[j] += delta * (c - row[j])
            was_free = old != 0.0 and lower[j] < old < upper[j]
            is_free = new != 0.0 and lower[j] < new < upper[j]
            if was_free != is_free or old * new < 0.0:
                pattern_changed = True
        if worst <= tolerance:
            return epoch + 1
        if not worst < _DIVERGED:
            return 0
        cost += moved * size
        count = 0
        for j in range(size):
            if x[j] != 0.0 and lower[j] < x[j] < upper[j] and curvature[j] > 0.0:
                free[count] = j
                count += 1
        price = (_FACTOR_SPEED / 6.0 * count * count + size + 0.5 * count) * count
        if count == 0 or (pattern_changed and cost <= _PATIENCE * price):
            continue
        cost = 0.0
        while True:
            for i in range(count):
                Li, row = L[i], G[free[i]]
                for k in range(i):
                    Li[k] = row[free[k]]
                Li[i] = (1.0 + ridge) * curvature[free[i]]
            if factor(L, count) or ridge >= 1.0:
                break
            if bent:  # not convex: the bend of a penalty outweighs G
                return 0
            ridge = max(_FIRST_RIDGE, 100.0 * ridge)
        if ridge >= 1.0:
            return 0
        for i in range(count):
            j = free[i]
            rhs[i] = -(gradient[j] + (weights[j] if x[j] > 0.0 else -weights[j]))
            origin[i] = x[j]
        upper_factor = False
        for _ in range(count):
            for i in range(count):
                step[i] = rhs[i]
            if upper_factor:
                solve_upper(L, step, count)
            else:
                solve_lower(L, step, count)
            # The longest part of the step that stays on the face.
            length, hit, wall = 1.0, -1, 0.0
            for i in range(count):
                d = step[i]
                j = free[i]
                if d < 0.0:
                    edge = max(lower[j], 0.0) if origin[i] > 0.0 else lower[j]
                    if x[j] + length * d < edge:
                        length, hit, wall = (edge - x[j]) / d, i, edge
                elif d > 0.0:
                    edge = min(upper[j], 0.0) if origin[i] < 0.0 else upper[j]
                    if x[j] + length * d > edge:
                        length, hit, wall = (edge - x[j]) / d, i, edge
            for i in range(count):
                x[free[i]] += length * step[i]
            if hit < 0:
                break
            x[free[hit]] = wall
            if not upper_factor:
                mirror(L, 0, count)
                upper_factor = True
            for i in range(count):
                rhs[i] = (1.0 - length) * rhs[i] + length * ridge * curvature[free[i]] * step[i]
            rhs[hit] = 0.0
            remove(L, hit, count, spare)
        for i in range(count):
            j = free[i]
            # A cut made shorter afterwards may have left a bound by one rounding.
            x[j] = min(max(x[j], lower[j]), upper[j])
            if x[j] * origin[i] < 0.0:
                x[j] = 0.0
            delta = x[j] - origin[i]
            if delta != 0.0:
                row = G[j]
                for k in range(size):
                    gradient[k] += delta * row[k]
                gradient[j] += delta * (curvature[j] - row[j])
    return -max_epochs

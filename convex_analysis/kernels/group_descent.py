"""Block coordinate descent on a Gram matrix: a quadratic with weighted Euclidean norms of groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled


@compiled
def group_epochs(
    G: Any,
    curvature: Any,
    bend: Any,
    gradient: Any,
    x: Any,
    weights: Any,
    members: Any,
    starts: Any,
    tolerance: float,
    epochs: int,
) -> float:
    """Descend on ``x'Hx/2 - q'x + sum_g w_g ||x_g||`` group by group, in place; return the last violation.

    Parameters
    ----------
    G
        Gram matrix in the leading block of a C-ordered array: H off the diagonal.
    curvature
        Diagonal of H, shape (p,): that of G plus the bend.
    bend
        What the bend of a concave penalty adds to H in each coordinate, shape (p,); one number a group.
    gradient, x
        ``Hx - q`` and the point, shape (p,); changed in place.
    weights
        Weight of each coordinate's group, shape (p,); inf keeps a group where it is.
    members, starts
        Coordinates ordered by group, shape (p,), and where each group begins, shape (n_groups + 1,).
    tolerance
        Stop when no group's violation met in an epoch exceeds it.
    epochs
        Largest number of passes.
    """
    size = x.size
    count = starts.size - 1
    steepness = np.empty(count)
    widest = 0
    for g in range(count):
        # The smaller of two bounds of the block's largest eigenvalue: Frobenius, and the rows' sums.
        square, largest = 0.0, 0.0
        for a in range(starts[g], starts[g + 1]):
            total = 0.0
            for b in range(starts[g], starts[g + 1]):
                entry = G[members[a], members[b]]
                total += abs(entry)
                square += entry * entry
            largest = max(largest, total)
        steepness[g] = min(square**0.5, largest) + bend[members[starts[g]]]
        widest = max(widest, starts[g + 1] - starts[g])
    step = np.empty(widest)
    worst = np.inf
    for _ in range(epochs):
        worst = 0.0
        for g in range(count):
            begin, end = starts[g], starts[g + 1]
            weight, c = weights[members[begin]], steepness[g]
            if c <= 0.0 or weight == np.inf:
                continue
            length = 0.0
            for a in range(begin, end):
                j = members[a]
                step[a - begin] = x[j] - gradient[j] / c
                length += step[a - begin] ** 2
            length = length**0.5
            share = max(1.0 - weight / (c * length), 0.0) if length > 0.0 else 0.0
            moved = 0.0
            for a in range(begin, end):
                step[a - begin] = share * step[a - begin] - x[members[a]]
                moved += step[a - begin] ** 2
            if moved == 0.0:
                continue
            worst = max(worst, c * moved**0.5)
            for a in range(begin, end):
                j, delta = members[a], step[a - begin]
                if delta == 0.0:
                    continue
                row = G[j]
                for k in range(size):
                    gradient[k] += delta * row[k]
                gradient[j] += delta * (curvature[j] - row[j])
                x[j] = x[j] + delta if share > 0.0 else 0.0
        if worst <= tolerance:
            break
    return worst


@compiled
def face_hessian(G: Any, curvature: Any, free: Any, group: Any, direction: Any, pull: Any, out: Any) -> None:
    """Write the lower triangle of the Hessian on groups that are not zero: H plus that of the norms.

    ``direction`` is x over its group's norm, ``pull`` the weight over that norm; a norm's Hessian is
    ``pull (I - direction direction')`` on its group.
    """
    for i in range(free.size):
        row = G[free[i]]
        for k in range(i):
            value = row[free[k]]
            if group[i] == group[k]:
                value -= pull[i] * direction[i] * direction[k]
            out[i, k] = value
        c = curvature[free[i]]
        out[i, i] = c + pull[i] * (1.0 - direction[i] * direction[i]) + 1e-12 * abs(c)


@compiled
def add_rows(G: Any, curvature: Any, rows: Any, step: Any, out: Any) -> None:
    """Add ``H[:, rows] step`` to out, H being G with the diagonal given."""
    for i in range(rows.size):
        row, move, j = G[rows[i]], step[i], rows[i]
        for k in range(out.size):
            out[k] += move * row[k]
        out[j] += move * (curvature[j] - row[j])

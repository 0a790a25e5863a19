"""Descent on sparse columns: a quadratic with weighted l1 and a box, without a Gram matrix.

Coordinate descent reads and writes one column a move; when the pattern (which coordinates are free, their
signs) rests, conjugate gradients go towards the minimum of the face, cut where the step would leave it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled

_REST = 5  # epochs after which conjugate gradients are tried though the pattern still changes
_CLOSE = 0.03  # conjugate gradients stop at this share of the residual they began with
_DIVERGED = 1e100


@compiled
def column_curvature(
    data: Any, indices: Any, indptr: Any, columns: Any, scale: Any, h: Any, curvature: Any, means: Any
) -> None:
    """Write the diagonal of ``A' diag(h) A`` and ``A' h`` for chosen CSC columns times their scale."""
    for i in range(columns.size):
        square, mean = 0.0, 0.0
        for k in range(indptr[columns[i]], indptr[columns[i] + 1]):
            entry = scale[i] * data[k]
            square += h[indices[k]] * entry * entry
            mean += h[indices[k]] * entry
        curvature[i], means[i] = square, mean


@compiled
def _dot(data: Any, indices: Any, begin: int, end: int, u: Any) -> float:
    total = 0.0
    for k in range(begin, end):
        total += data[k] * u[indices[k]]
    return total


@compiled
def minimise_on_columns(
    data: Any,
    indices: Any,
    indptr: Any,
    columns: Any,
    scale: Any,
    h: Any,
    mass: float,
    means: Any,
    added: Any,
    curvature: Any,
    gradient: Any,
    x: Any,
    weights: Any,
    lower: Any,
    upper: Any,
    tolerance: float,
    max_epochs: int,
    bent: bool,
) -> int:
    """Minimise ``x'Hx/2 - q'x + weights'|x|`` over the box, in place.

    ``H = A'(D - hh'/mass)A + diag(added)`` with ``D = diag(h)``.

    Parameters
    ----------
    data, indices, indptr, columns, scale
        X in CSC form, the columns of the working set, shape (p,), and their factors.
    h, mass
        Curvature of the loss in each row, D = diag(h); its sum where an intercept follows, else 0.
    means
        ``A'h``, shape (p,).
    added
        Ridge term plus bend of each coordinate, shape (p,).
    curvature
        Diagonal of H, shape (p,).
    gradient
        ``Hx - q``, shape (p,); brought up to date at the end.
    x, weights, lower, upper
        Point inside the box (changed in place), weights (not negative), bounds; shape (p,).
    tolerance, max_epochs
        Stop when no violation met in a pass exceeds the tolerance, or after so many passes.
    bent
        Whether a bend was added: a direction of negative curvature then means a problem that is not convex.

    Returns
    -------
    int
        Passes made; negative if they ran out before the tolerance; 0 if H is seen to be indefinite.
    """
    size = x.size
    u = np.zeros(h.size)  # D A (x - x0)
    begun = x.copy()
    shift = 0.0  # h'A (x - x0) / mass
    still = 0.1 * tolerance
    free = np.empty(size, np.intp)
    step, residual, direction, image = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    v = np.empty(h.size)
    result = -max_epochs
    resting = 0
    for epoch in range(max_epochs):
        worst = 0.0
        pattern_changed = False
        for j in range(size):
            c = curvature[j]
            if c <= 0.0:
                continue
            begin, end = indptr[columns[j]], indptr[columns[j] + 1]
            old, weight = x[j], weights[j]
            slope = gradient[j] + scale[j] * _dot(data, indices, begin, end, u)
            slope += added[j] * (old - begun[j]) - means[j] * shift
            if old == 0.0 and -weight <= slope <= weight:
                continue
            target, threshold = old - slope / c, weight / c
            if target > threshold:
                new = target - threshold
            elif target < -threshold:
                new = target + threshold
            else:
                new = 0.0
            new = min(max(new, lower[j]), upper[j])
            delta = new - old
            violation = abs(delta) * c
            if delta == 0.0 or (violation <= still and new != 0.0 and lower[j] < new < upper[j]):
                continue
            worst = max(worst, violation)
            x[j] = new
            move = delta * scale[j]
            for k in range(begin, end):
                u[indices[k]] += h[indices[k]] * move * data[k]
            if mass > 0.0:
                shift += means[j] * delta / mass
            was_free = old != 0.0 and lower[j] < old < upper[j]
            is_free = new != 0.0 and lower[j] < new < upper[j]
            if was_free != is_free or old * new < 0.0:
                pattern_changed = True
        if worst <= tolerance:
            result = epoch + 1
            break
        if not worst < _DIVERGED:
            return 0
        resting += 1
        if pattern_changed and resting < _REST:
            continue
        resting = 0
        count = 0
        for j in range(size):
            if x[j] != 0.0 and lower[j] < x[j] < upper[j] and curvature[j] > 0.0:
                free[count] = j
                count += 1
        if count == 0:
            continue
        # Preconditioned conjugate gradients for H_ff step = -face gradient.
        norm = 0.0
        for i in range(count):
            j = free[i]
            begin, end = indptr[columns[j]], indptr[columns[j] + 1]
            slope = gradient[j] + scale[j] * _dot(data, indices, begin, end, u)
            slope += added[j] * (x[j] - begun[j]) - means[j] * shift
            residual[i] = -(slope + (weights[j] if x[j] > 0.0 else -weights[j]))
            step[i] = 0.0
            direction[i] = residual[i] / curvature[j]
            norm += residual[i] * direction[i]
        goal = norm * _CLOSE * _CLOSE
        for _ in range(2 * count + 10):
            if norm <= goal or norm == 0.0:
                break
            v[:] = 0.0
            mean = 0.0
            for i in range(count):
                j = free[i]
                move = direction[i] * scale[j]
                for k in range(indptr[columns[j]], indptr[columns[j] + 1]):
                    v[indices[k]] += h[indices[k]] * move * data[k]
                mean += means[j] * direction[i]
            mean = mean / mass if mass > 0.0 else 0.0
            bend = 0.0
            for i in range(count):
                j = free[i]
                begin, end = indptr[columns[j]], indptr[columns[j] + 1]
                image[i] = scale[j] * _dot(data, indices, begin, end, v)
                image[i] += added[j] * direction[i] - means[j] * mean
                bend += direction[i] * image[i]
            if bend <= 0.0:
                if bent:
                    return 0
                break
            length = norm / bend
            before = norm
            norm = 0.0
            for i in range(count):
                step[i] += length * direction[i]
                residual[i] -= length * image[i]
                norm += residual[i] * residual[i] / curvature[free[i]]
            for i in range(count):
                direction[i] = residual[i] / curvature[free[i]] + norm / before * direction[i]
        # The longest part of the step that stays on the face.
        length, hit, wall = 1.0, -1, 0.0
        for i in range(count):
            j, d = free[i], step[i]
            if d < 0.0:
                edge = max(lower[j], 0.0) if x[j] > 0.0 else lower[j]
                if x[j] + length * d < edge:
                    length, hit, wall = (edge - x[j]) / d, i, edge
            elif d > 0.0:
                edge = min(upper[j], 0.0) if x[j] < 0.0 else upper[j]
                if x[j] + length * d > edge:
                    length, hit, wall = (edge - x[j]) / d, i, edge
        for i in range(count):
            j = free[i]
            new = wall if i == hit else min(max(x[j] + length * step[i], lower[j]), upper[j])
            if new * x[j] < 0.0:
                new = 0.0
            delta = new - x[j]
            if delta == 0.0:
                continue
            x[j] = new
            move = delta * scale[j]
            for k in range(indptr[columns[j]], indptr[columns[j] + 1]):
                u[indices[k]] += h[indices[k]] * move * data[k]
            if mass > 0.0:
                shift += means[j] * delta / mass
    for j in range(size):
        begin, end = indptr[columns[j]], indptr[columns[j] + 1]
        gradient[j] += scale[j] * _dot(data, indices, begin, end, u)
        gradient[j] += added[j] * (x[j] - begun[j]) - means[j] * shift
    return result

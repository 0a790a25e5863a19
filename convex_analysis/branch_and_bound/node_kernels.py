"""Compiled loops over branch-and-bound nodes of a quadratic data fit: bounds, and what they exclude."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled
from convex_analysis.kernels.gram_descent import minimise

# Rounding of a sum of two terms or of a penalty's value, with room to spare.
_UNIT = 2e-15
# Share of the data fit's curvature that pays for the rounding of residuals (`relax_nodes`): a fiftieth.
RESERVE = 0.02


@compiled
def relax_nodes(
    factor: Any,
    target: Any,
    triangular: bool,
    gram: Any,
    norms: Any,
    linear: Any,
    weights: Any,
    shift: Any,
    constant: Any,
    lower: Any,
    upper: Any,
    cutoff: float,
    tolerance: Any,
    max_epochs: int,
    x: Any,
    reduced: Any,
    bound: Any,
    allowance: Any,
) -> None:
    """Bound a relaxation from below on each box.

    It is ``|factor x - target|^2/2 - shift'x^2/2 + linear'x + weights'|x| + constant``. Points are
    moved by means of the Gram matrix, but bounds come from the residual at the point, whose rounding costs
    ``eps |a_j| |x_j|`` times the residual; that of the Gram matrix would cost ``eps (|a_j| |x_j|)^2``.

    Parameters
    ----------
    factor, target, triangular
        Matrix of shape (m, d) and vector of shape (m,); whether the matrix is zero below its diagonal.
    gram
        ``factor'factor``, shape (d, d); less ``diag(shift)`` it must exceed `RESERVE` of itself.
    norms
        Euclidean norms of the columns of the factor, shape (d,).
    linear, weights, shift, lower, upper
        One row a node, shape (n_nodes, d).
    constant
        Shape (n_nodes,).
    cutoff
        A node whose bound reaches this value needs no better one.
    tolerance
        Duality gap at which to stop, shape (n_nodes,).
    max_epochs
        Largest number of passes of coordinate descent a node.
    x, reduced
        Shape (n_nodes, d): starting points inside the boxes, overwritten by the solutions; and the
        gradients there, without the weighted |x|.
    bound
        Shape (n_nodes,): overwritten by the dual values, less an allowance for rounding.
    allowance
        Shape (n_nodes,): overwritten by an allowance for the gradients, as a multiple of the norms.
    """
    n_nodes, d = x.shape
    rows = target.size
    curvature = np.empty(d)
    scratch = np.empty((d, d))
    free = np.empty(d, dtype=np.int64)
    work = np.empty((4, d))
    residual = np.empty(rows)
    unit = 2.3e-16 * (rows + d + 8)
    level = 0.0
    for i in range(rows):
        level += target[i] * target[i]
    level = math.sqrt(level)
    for i in range(n_nodes):
        v, c, w, low, high = reduced[i], linear[i], weights[i], lower[i], upper[i]
        for j in range(d):
            curvature[j] = gram[j, j] - shift[i, j]
            if gram[j, j] <= 0.0:
                # A column of zeros: its term is minimal at an end of the box or at zero.
                t = low[j]
                if c[j] * high[j] + w[j] * abs(high[j]) < c[j] * t + w[j] * abs(t):
                    t = high[j]
                if low[j] < 0.0 < high[j] and c[j] * t + w[j] * abs(t) > 0.0:
                    t = 0.0
                x[i, j] = t
        epochs = 0
        block = 3
        while True:
            # The residual at x, and the gradient from it.
            for k in range(rows):
                total = -target[k]
                row = factor[k]
                for j in range(k if triangular else 0, d):
                    total += row[j] * x[i, j]
                residual[k] = total
            square = 0.0
            for j in range(d):
                v[j] = c[j] - shift[i, j] * x[i, j]
            for k in range(rows):
                total = residual[k]
                square += total * total
                row = factor[k]
                for j in range(k if triangular else 0, d):
                    v[j] += total * row[j]
            length = math.sqrt(square)
            smooth = 0.0  # value of the smooth part at x, less its tangent at zero
            least = 0.0  # minimum of v'x + weights'|x| over the box
            here = 0.0  # its value at x
            size = 0.5 * square
            span = level  # what the residual's rounding is a multiple of
            farthest = 0.0
            for j in range(d):
                a, b, t = low[j], high[j], x[i, j]
                best = min(v[j] * a + w[j] * abs(a), v[j] * b + w[j] * abs(b))
                if a < 0.0 < b:
                    best = min(best, 0.0)
                least += best
                here += v[j] * t + w[j] * abs(t)
                bent = 0.5 * shift[i, j] * t * t
                smooth += c[j] * t - bent - v[j] * t
                size += abs(c[j] * t) + abs(v[j] * t) + abs(best) + bent
                span += norms[j] * abs(t)
                farthest += norms[j] * max(b - t, t - a)
            # The residual computed may be off by this much. The tangent at it still lies below the data
            # fit, as the square that the reserve leaves makes up for the slope that is missing.
            error = unit * span
            lost = error * length + error * error / (2.0 * RESERVE) + unit * farthest * length
            allowance[i] = unit * length + error
            # The dual value at x itself, not the best on the way: what is excluded later is measured from x.
            bound[i] = constant[i] + (0.5 * square + smooth + least)
            bound[i] -= lost + _UNIT * (abs(constant[i]) + size)
            if here - least <= tolerance[i] or bound[i] >= cutoff or epochs >= max_epochs:
                break
            minimise(gram, curvature, v, x[i], w, low, high, d, 0.0, block, False, scratch, free, work)
            epochs += block
            block = min(2 * block, 50)


@compiled
def _upper_end(
    slope: float, weight: float, stiffness: float, x: float, lower: float, upper: float, limit: float
) -> float:
    """Return the largest t of the box with ``slope t + weight |t| + stiffness (t - x)^2 / 2 <= limit``.

    There may be none: then -inf.
    """
    end = upper
    while True:
        # The piece of the box on one side of zero that ends here.
        if end > 0.0:
            start, total = max(lower, 0.0), slope + weight
        else:
            start, total = lower, slope - weight
        if total * end + 0.5 * stiffness * (end - x) ** 2 <= limit:
            return end
        # The solution's distance from x: far from zero the square of t itself would lose all digits.
        rest = total * x - limit
        square = total * total - 2.0 * stiffness * rest
        if square >= 0.0 and total + stiffness * (end - x) > 0.0:  # rising at the end: it lies below
            root = math.sqrt(square)
            t = x - 2.0 * rest / (total + root) if total > 0.0 else x + (root - total) / stiffness
            if t >= start:
                return min(t, end)
        if start <= lower:
            at_start = total * start + 0.5 * stiffness * (start - x) ** 2
            return start if at_start <= limit else -math.inf
        end = start


@compiled
def tighten_nodes(
    reduced: Any, weights: Any, stiffness: Any, x: Any, slack: Any, lower: Any, upper: Any
) -> None:
    """Shrink each box to the points that the node's bound does not exclude; an empty box gets lower > upper.

    With ``b_j(t) = reduced_j t_j + weights_j |t_j| - (its minimum over the interval) >= 0`` and the
    solution x of a node's relaxation, every point t of the box has, for each j,

        relaxation(t) >= bound + sum_i b_i(t) + stiffness_j (t_j - x_j)^2 / 2,

    so that ``b_j`` and the square together may not exceed the slack, ``cutoff - bound``.

    Parameters
    ----------
    reduced, weights, stiffness, x
        Shape (n_nodes, d).
    slack
        Shape (n_nodes,), not negative.
    lower, upper
        The boxes, shape (n_nodes, d), changed in place.
    """
    n_nodes, d = x.shape
    for i in range(n_nodes):
        for j in range(d):
            a, b = lower[i, j], upper[i, j]
            if a == b:
                continue
            v, w, k, t = reduced[i, j], weights[i, j], stiffness[i, j], x[i, j]
            at_lower = v * a + w * abs(a)
            at_upper = v * b + w * abs(b)
            least = min(at_lower, at_upper)
            if a < 0.0 < b:
                least = min(least, 0.0)
            # Rounding outwards: an interval a little too long is harmless.
            far, room = max(-a, b), max(b - t, t - a)
            size = 2.0 * (abs(v) + w) * far + k * room * (far + room)
            limit = least + slack[i] + 1e-14 * size
            margin = 1e-12 * (b - a)
            high = _upper_end(v, w, k, t, a, b, limit)
            low = -_upper_end(-v, w, k, -t, -b, -a, limit)
            if high < low - margin:
                lower[i, j], upper[i, j] = math.inf, -math.inf
                break
            upper[i, j] = min(b, high + margin)
            lower[i, j] = max(a, low - margin)

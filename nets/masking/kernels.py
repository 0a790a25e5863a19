"""Compiled passes over flat vectors; apart, so that only who steps so waits for the compiler."""

from __future__ import annotations

import math
from typing import Any

from concave_sparsity.compilation import compiled, exact


@compiled
def masked_sgd(
    gradients: Any,
    weights: Any,
    momenta: Any,
    effective: Any,
    mask: Any,
    squares: Any,
    lr: Any,
    momentum: Any,
    decay: Any,
    nesterov: bool,
    clear: bool,
) -> None:
    """Step the first `mask.size` weights under the mask and the others, which have none, without it."""
    zero = gradients.dtype.type(0)
    n = mask.size
    for i in range(n):
        slope, m, weight = gradients[i], mask[i], weights[i]
        if clear:
            gradients[i] = zero
        squares[i] += slope * slope
        slope = slope * m + decay * weight
        move = momentum * momenta[i] + slope
        momenta[i] = move
        if nesterov:
            move = slope + momentum * move
        weight -= lr * move
        weights[i] = weight
        effective[i] = weight * m
    for i in range(n, weights.size):
        slope, weight = gradients[i] + decay * weights[i], weights[i]
        if clear:
            gradients[i] = zero
        move = momentum * momenta[i] + slope
        momenta[i] = move
        if nesterov:
            move = slope + momentum * move
        weights[i] = weight - lr * move


@compiled
def scaled(gradient: Any, mask: Any, squares: Any) -> None:
    """Add the squares of a gradient to `squares` and multiply it by the mask, in place; shape (n,) each."""
    for i in range(gradient.size):
        slope = gradient[i]
        squares[i] += slope * slope
        gradient[i] = slope * mask[i]


@compiled
def held_sgd(
    gradients: Any, weights: Any, momenta: Any, mask: Any, lr: Any, momentum: Any, decay: Any, nesterov: bool
) -> None:
    """Step weights that are zero outside a mask, and keep them so; shape (n,) each."""
    for i in range(mask.size):
        m, weight = mask[i], weights[i]
        slope = (gradients[i] + decay * weight) * m
        move = momentum * momenta[i] + slope
        momenta[i] = move
        if nesterov:
            move = slope + momentum * move
        weights[i] = (weight - lr * move) * m


@exact
def curvature(squares: Any, weights: Any, out: Any) -> None:
    """Write sqrt(squares) weights^2 to `out`; shape (n,) each."""
    for i in range(out.size):
        out[i] = math.sqrt(squares[i]) * weights[i] * weights[i]


@compiled
def look_up(table: Any, bits: Any, first: int, shift: int, out: Any) -> None:
    """Write the entry of a table that the leading bits of each number stand for, from `first` on."""
    last = table.size - 1
    for i in range(out.size):
        place = (bits[i] - first) >> shift
        out[i] = table[min(max(place, 0), last)]


@compiled
def above_half(mask: Any) -> int:
    """Return how many entries lie above one half."""
    count = 0
    half = mask.dtype.type(0.5)
    for i in range(mask.size):
        count += mask[i] > half
    return count

"""Compiled passes over flat vectors; apart, so that only who steps so waits for the compiler."""

from __future__ import annotations

from typing import Any

from concave_sparsity.compilation import compiled


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

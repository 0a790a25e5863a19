"""Compiled passes over flat vectors; apart, so that only who steps so waits for the compiler.

With several threads a pass is shared out over those of torch itself (`Job`): they have half of the vectors in
their caches already, and others would wait for them. Every number is computed alike whoever computes it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray

from concave_sparsity.compilation import compiled, exact
from nets.masking.threads import Shared, claim, pointer

#: Kinds of a `Job`.
SGD, ADAM, CURVATURE, LOOK_UP = range(4)

#: Numbers from which on a pass is shared out, as in torch.
GRAIN = 32768


@compiled
def masked_sgd(
    gradients: Any, weights: Any, momenta: Any, effective: Any, mask: Any, squares: Any, rates: Any
) -> None:
    """Step under the mask; shape (n,) each."""
    lr, momentum, decay, nesterov, clear = rates
    zero = gradients.dtype.type(0)
    for i in range(mask.size):
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


@compiled
def plain_sgd(gradients: Any, weights: Any, momenta: Any, rates: Any) -> None:
    """Step without a mask; shape (n,) each."""
    lr, momentum, decay, nesterov, clear = rates
    zero = gradients.dtype.type(0)
    for i in range(weights.size):
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
def held_sgd(gradients: Any, weights: Any, momenta: Any, mask: Any, rates: Any) -> None:
    """Step weights that are zero outside a mask, and keep them so; shape (n,) each."""
    lr, momentum, decay, nesterov, clear = rates
    zero = gradients.dtype.type(0)
    for i in range(mask.size):
        m, weight = mask[i], weights[i]
        slope = (gradients[i] + decay * weight) * m
        if clear:
            gradients[i] = zero
        move = momentum * momenta[i] + slope
        momenta[i] = move
        if nesterov:
            move = slope + momentum * move
        weights[i] = (weight - lr * move) * m


@compiled
def _adam(slope: Any, weight: Any, mean: Any, second: Any, rates: Any) -> Any:
    """Return weight and moments after a step of Adam along a slope."""
    lr, shrink, decay, new, old, fresh, root, eps = rates
    slope += decay * weight
    mean += new * (slope - mean)
    second = old * second + fresh * slope * slope
    return shrink * weight - lr * (mean / (math.sqrt(second) * root + eps)), mean, second


@compiled
def masked_adam(
    gradients: Any,
    weights: Any,
    means: Any,
    seconds: Any,
    effective: Any,
    mask: Any,
    squares: Any,
    rates: Any,
) -> None:
    """Step under the mask; shape (n,) each."""
    for i in range(mask.size):
        slope, m = gradients[i], mask[i]
        squares[i] += slope * slope
        weight, means[i], seconds[i] = _adam(slope * m, weights[i], means[i], seconds[i], rates)
        weights[i] = weight
        effective[i] = weight * m


@compiled
def held_adam(gradients: Any, weights: Any, means: Any, seconds: Any, mask: Any, rates: Any) -> None:
    """Step weights that are zero outside a mask, and keep them so; shape (n,) each."""
    for i in range(mask.size):
        m = mask[i]
        weight, means[i], seconds[i] = _adam(gradients[i] * m, weights[i], means[i], seconds[i], rates)
        weights[i] = weight * m


@compiled
def plain_adam(gradients: Any, weights: Any, means: Any, seconds: Any, rates: Any) -> None:
    """Step without a mask; shape (n,) each."""
    for i in range(weights.size):
        weights[i], means[i], seconds[i] = _adam(gradients[i], weights[i], means[i], seconds[i], rates)


@exact
def _curvature(squares: Any, weights: Any, out: Any, keep: Any) -> None:
    for i in range(out.size):
        square = squares[i]
        out[i] = math.sqrt(square) * weights[i] * weights[i]
        squares[i] = square * keep


@exact
def _look_up(ratios: Any, bits: Any, out: Any, table: Any, first: int, shift: int, unit: Any) -> None:
    last = table.size - 1
    for begin in range(0, out.size, 1024):  # slices: an index might be negative for all the compiler knows
        end = begin + 1024
        some, leading, found = ratios[begin:end], bits[begin:end], out[begin:end]
        for i in range(some.size):
            some[i] /= unit
        for i in range(found.size):
            place = (leading[i] - first) >> shift
            found[i] = table[min(max(place, 0), last)]


@compiled
def _share(job: int, table: Any, rates: Any, whole: Any, part: int, parts: int) -> None:
    """Do one of `parts` equal shares of a job; `whole` is an integer as wide as the numbers."""
    like, width = rates[0, 0], rates.itemsize
    for t in range(table.shape[0]):
        row, own = table[t], rates[t]
        if row[1] == 0:
            continue
        share = (row[0] // parts + 64) // 64 * 64  # whole lines of the caches
        begin = min(row[0], part * share)
        n = min(row[0], begin + share) - begin
        at = begin * width
        first = carray(pointer(row[1] + at, like), n)
        second = carray(pointer(row[2] + at, like), n)
        third = carray(pointer(row[3] + at, like), n)
        fourth = carray(pointer(row[4] + at, like), n)
        mask = carray(pointer(row[5] + at, like), n if row[5] else 0)
        effective = carray(pointer(row[6] + at, like), n)
        squares = carray(pointer(row[7] + at, like), n)
        if job == CURVATURE:
            _curvature(first, second, third, like)
        elif job == LOOK_UP:
            entries = carray(pointer(row[4], like), row[5])
            _look_up(first, carray(pointer(row[1] + at, whole), n), second, entries, row[6], row[7], like)
        elif job == ADAM:
            eight = own[0], own[1], own[2], own[3], own[4], own[5], own[6], own[7]
            if row[5] == 0:
                plain_adam(first, second, third, fourth, eight)
            elif row[7] == 0:
                held_adam(first, second, third, fourth, mask, eight)
            else:
                masked_adam(first, second, third, fourth, effective, mask, squares, eight)
        else:
            five = own[0], own[1], own[2], own[3] != 0, own[4] != 0
            if row[5] == 0:
                plain_sgd(first, second, third, five)
            elif row[7] == 0:
                held_sgd(first, second, third, mask, five)
            else:
                masked_sgd(first, second, third, effective, mask, squares, five)


@compiled
def _shares(order: Any, like: Any, whole: Any) -> None:
    table = carray(pointer(order[4], order[0]), (order[3], 8))
    rates = carray(pointer(order[5], like), (order[3], 8))
    part = claim(order)
    while part < order[1]:  # a team may be smaller than asked for
        _share(order[2], table, rates, whole, part, order[1])
        part = claim(order)


def _of_singles(order: Any) -> None:
    _shares(order, np.float32(0.0), np.int32(0))


def _of_doubles(order: Any) -> None:
    _shares(order, np.float64(0.0), np.int64(0))


@cache
def _pass(single: bool) -> Shared:
    return Shared(_of_singles if single else _of_doubles)


class Job:
    """A job on several tensors at once: of many small ones calls would take longer than the arithmetic.

    Parameters
    ----------
    kind : int
        `SGD` or `ADAM`, a step; `CURVATURE`; `LOOK_UP`.
    table : array of int64
        Shape (tensors, 8): how many numbers each has, then addresses. Of a step those of its gradient,
        weights, the one or two vectors of the optimiser, mask, effective weights, squares: without a gradient
        (0) a tensor is passed over, without a mask it is stepped freely, and without squares it is held at
        zero outside. Of the curvature squares, weights, result. To look up numbers, result, none, the table,
        and then how long that is, which bits are first, and how far they are shifted.
    rates : array of float32 or float64
        Shape (tensors, 8), of the tensors' type: learning rate, momentum, weight decay, whether it is
        Nesterov's, and whether gradients are zeroed; of Adam those that `_adam` takes; what squares are
        multiplied by; what numbers are divided by.
    """

    def __init__(self, kind: int, table: Any, rates: Any) -> None:
        self.table, self.rates = table, rates
        self.shared = table[:, 0].max() > GRAIN
        self._order = np.array([0, 1, kind, len(table), table.ctypes.data, rates.ctypes.data], dtype=np.int64)
        self._at = self._order.ctypes.data
        self._pass = _pass(rates.dtype == np.float32)

    def run(self) -> None:
        """Do it, as the table and the rates are now."""
        parts = torch.get_num_threads() if self.shared else 1
        self._order[:2] = 0, parts
        self._pass.run(self._at, parts)


def curvature(squares: Any, weights: Any, keep: float, out: Any) -> None:
    """Write sqrt(squares) weights^2 to `out`, then multiply the squares by `keep`; shape (n,) each."""
    row = [out.size, squares.ctypes.data, weights.ctypes.data, out.ctypes.data, 0, 0, 0, 0]
    Job(CURVATURE, np.array([row]), np.full((1, 8), keep, dtype=out.dtype)).run()


def look_up(table: Any, ratios: Any, unit: Any, first: int, shift: int, out: Any) -> None:
    """Write the entry of a table that the leading bits of ``ratios / unit`` stand for, from `first` on.

    The ratios are divided in place.
    """
    row = [out.size, ratios.ctypes.data, out.ctypes.data, 0, table.ctypes.data, table.size, first, shift]
    Job(LOOK_UP, np.array([row]), np.full((1, 8), unit, dtype=out.dtype)).run()


@compiled
def totals(mask: Any) -> Any:
    """Return the sum of the entries and how many lie above one half."""
    half = mask.dtype.type(0.5)
    total, count = 0.0, 0
    for begin in range(0, mask.size, 4096):
        some, part, above = mask[begin : begin + 4096], mask.dtype.type(0.0), mask.dtype.type(0.0)
        for i in range(some.size):
            part += some[i]
            above += mask.dtype.type(some[i] > half)
        total += part
        count += int(above)
    return total, count

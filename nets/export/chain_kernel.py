"""Products of a whole chain of sparse layers in one compiled call; apart, so that only its users compile.

Rows of weights are padded to a multiple of LANES. For one sample, LANES inputs at a time are gathered; for
more, samples lie side by side and every weight multiplies a vector of them. Both loops are written as vector
instructions of LLVM, which any processor has in some form: numba's own vectoriser leaves them scalar.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from concave_sparsity.compilation import compiled, unlocked

#: Weights of a row that are multiplied at a time, and samples side by side.
LANES = 8

#: Samples up to which one after the other is faster than side by side.
SINGLE = 2

_FLOAT, _LONG, _INT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_LONGS = ir.VectorType(_LONG, LANES)
_INTS = ir.VectorType(_INT, LANES)
_FAST = ("fast",)


def _arrays(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Return the data pointers of the arrays among the arguments."""
    return [
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args, values)
        if isinstance(kind, types.Array)
    ]


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector of equal entries."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_INTS, [0] * LANES))


def _load(builder: Any, data: Any, place: Any, kind: Any, align: int) -> Any:
    vector = builder.load(builder.bitcast(builder.gep(data, [place]), kind.as_pointer()))
    vector.align = align
    return vector


def _add_product(builder: Any, sum_: Any, left: Any, right: Any) -> None:
    product = builder.fmul(left, right, flags=_FAST)
    builder.store(builder.fadd(builder.load(sum_), product, flags=_FAST), sum_)


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def row_product(typing: Any, values: Any, columns: Any, source: Any, start: Any, stop: Any) -> Any:
    """Return sum of values[k] * source[columns[k]] for k from start to stop, a multiple of LANES later."""
    signature = types.float32(values, columns, source, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weight, column, x = _arrays(context, builder, signature, arguments[:3])
        module, zero = builder.module, ir.Constant(_FLOATS, [0.0] * LANES)
        pointers = ir.VectorType(_FLOAT.as_pointer(), LANES)
        suffix = "p0f32" if str(_FLOAT.as_pointer()).endswith("*") else "p0"
        every = ir.VectorType(ir.IntType(1), LANES)
        gather = cgutils.get_or_insert_function(
            module,
            ir.FunctionType(_FLOATS, [pointers, _INT, every, _FLOATS]),
            f"llvm.masked.gather.v{LANES}f32.v{LANES}{suffix}",
        )
        reduce = cgutils.get_or_insert_function(
            module, ir.FunctionType(_FLOAT, [_FLOAT, _FLOATS]), f"llvm.vector.reduce.fadd.v{LANES}f32"
        )
        bits = signature.args[1].dtype.bitwidth
        sum_ = cgutils.alloca_once_value(builder, zero)
        base = _spread(builder, builder.ptrtoint(x, _LONG), _LONGS)
        step = ir.Constant(_LONG, LANES)
        with cgutils.for_range_slice(builder, *arguments[3:], step, intp=_LONG) as (k, _):
            places = _load(builder, column, k, ir.VectorType(ir.IntType(bits), LANES), bits // 8)
            places = builder.zext(places, _LONGS)
            bytes_ = builder.add(base, builder.shl(places, ir.Constant(_LONGS, [2] * LANES)))
            inputs = builder.call(
                gather,
                [
                    builder.inttoptr(bytes_, pointers),
                    ir.Constant(_INT, 4),
                    ir.Constant(every, [1] * LANES),
                    zero,
                ],
            )
            _add_product(builder, sum_, _load(builder, weight, k, _FLOATS, 4), inputs)
        return builder.call(reduce, [ir.Constant(_FLOAT, 0.0), builder.load(sum_)], fastmath=_FAST)

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def rows_product(
    typing: Any,
    values: Any,
    columns: Any,
    source: Any,
    start: Any,
    stop: Any,
    first: Any,
    target: Any,
    row: Any,
) -> Any:
    """Write first + sum of values[k] * source[columns[k], :] to target[row, :], vectors of LANES samples."""
    signature = types.void(
        values, columns, source, types.int64, types.int64, types.float32, target, types.int64
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weight, column, x, y = _arrays(context, builder, signature, arguments)
        start, stop, first, row = (arguments[i] for i in (3, 4, 5, 7))
        zero = ir.Constant(_FLOATS, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]  # in flight at a time
        builder.store(_spread(builder, first, _FLOATS), sums[0])
        lanes = ir.Constant(_LONG, LANES)
        with cgutils.for_range_slice(builder, start, stop, lanes, intp=_LONG) as (k, _):
            for j in range(LANES):
                at = builder.add(k, ir.Constant(_LONG, j))
                place = builder.zext(builder.load(builder.gep(column, [at])), _LONG)
                inputs = _load(builder, x, builder.mul(place, lanes), _FLOATS, 4)
                scale = _spread(builder, builder.load(builder.gep(weight, [at])), _FLOATS)
                _add_product(builder, sums[j % 4], scale, inputs)
        a, b, c, d = (builder.load(part) for part in sums)
        total = builder.fadd(builder.fadd(a, b, flags=_FAST), builder.fadd(c, d, flags=_FAST), flags=_FAST)
        place = builder.gep(y, [builder.mul(row, lanes)])
        builder.store(total, builder.bitcast(place, _FLOATS.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, generate


@compiled
def activation(x: Any, code: int) -> Any:
    """Return the value of an activation; see `nets.export.chain.ACTIVATIONS`."""
    if code == 1:
        return x if x > 0 or x != x else np.float32(0)
    if code == 2:
        return np.float32(math.tanh(x))
    if code == 3:
        return np.float32(1 / (1 + math.exp(-x)))
    if code == 4:
        return np.float32(0.5 * x * (1 + math.erf(x * math.sqrt(0.5))))
    if code == 5:
        return np.float32(x / (1 + math.exp(-x)))
    return x


@unlocked
def run_chain(x: Any, values: Any, columns: Any, starts: Any, bias: Any, sizes: Any, codes: Any) -> Any:
    """Return the outputs, shape (n, outputs), of samples x, shape (n, inputs).

    Parameters
    ----------
    x : array of float32
        Row by row.
    values, columns : array
        Weights of all layers, row by row, every row padded with zeros to a multiple of LANES, and the inputs
        that they multiply.
    starts : array of int64
        Where the rows begin, and the end.
    bias : array of float32
        One a row.
    sizes : array of int64
        Inputs, and the outputs of every layer.
    codes : array of int64
        Activation of every layer.
    """
    layers, samples, widest = len(codes), len(x), sizes.max()
    out = np.empty((samples, sizes[layers]), dtype=np.float32)
    if samples <= SINGLE:
        memory = np.empty((2, widest), dtype=np.float32)
        for sample in range(samples):
            row, source = 0, x[sample]
            for layer in range(layers):
                target = out[sample] if layer == layers - 1 else memory[layer % 2]
                for i in range(sizes[layer + 1]):
                    value = bias[row] + row_product(values, columns, source, starts[row], starts[row + 1])
                    target[i] = activation(value, codes[layer])
                    row += 1
                source = target
        return out
    beside = np.zeros((2, widest, LANES), dtype=np.float32)
    for begin in range(0, samples, LANES):
        count = min(LANES, samples - begin)
        now = beside[1]
        for j in range(count):
            for i in range(sizes[0]):
                now[i, j] = x[begin + j, i]
        row = 0
        for layer in range(layers):
            after = beside[layer % 2]
            for i in range(sizes[layer + 1]):
                rows_product(values, columns, now, starts[row], starts[row + 1], bias[row], after, i)
                if codes[layer]:
                    for j in range(LANES):
                        after[i, j] = activation(after[i, j], codes[layer])
                row += 1
            now = after
        for i in range(sizes[layers]):
            for j in range(count):
                out[begin + j, i] = now[i, j]
    return out

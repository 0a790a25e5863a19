"""Products of a whole chain of sparse layers in one compiled call; apart, so that only its users compile.

Rows of weights are padded to a multiple of LANES. For one sample, LANES inputs at a time are gathered; for
more, samples lie side by side and every weight multiplies a vector of them. Both loops are written as vector
instructions of LLVM, which any processor has in some form: numba's own vectoriser leaves them scalar.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from concave_sparsity.compilation import compiled
from nets.masking.threads import Shared, claim, pointer, read

#: Weights of a row that are multiplied at a time, and samples side by side.
LANES = 8

#: Samples up to which one after the other is faster than side by side.
SINGLE = 2

#: Shares of what a layer does to LANES samples.
PARTS = 4

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


@compiled
def _rows(layer: Any, source: Any, target: Any, first: int, last: int, code: int) -> None:
    """Write outputs of a layer for one sample."""
    values, columns, starts, bias = layer
    for i in range(first, last):
        value = bias[i] + row_product(values, columns, source, starts[i], starts[i + 1])
        target[i] = activation(value, code)


@compiled
def _rows_beside(layer: Any, source: Any, target: Any, first: int, last: int, code: int) -> None:
    """Write outputs of a layer for LANES samples, shapes (inputs, LANES) and (outputs, LANES)."""
    values, columns, starts, bias = layer
    for i in range(first, last):
        rows_product(values, columns, source, starts[i], starts[i + 1], bias[i], target, i)
        if code:
            for j in range(LANES):
                target[i, j] = activation(target[i, j], code)


@compiled
def _stage(order: Any, index: Any, begin: int, stage: int, part: int) -> None:
    """Do one of PARTS shares of what a layer does to the samples from `begin` on; `index` is a column's type.

    Samples side by side are laid so in the first stage, -1.
    """
    like, long = np.float32(0), np.int64(0)
    samples, layers, widest = order[2], order[4], order[5]
    sizes = carray(pointer(order[6], long), layers + 1)
    code = carray(pointer(order[7], long), layers)[max(stage, 0)]
    row = 0
    for layer in range(stage):
        row += sizes[layer + 1]
    rows = sizes[stage + 1]
    first, last = rows * part // PARTS, rows * (part + 1) // PARTS
    starts = carray(pointer(order[8] + 8 * row, long), rows + 1)
    weights = (
        carray(pointer(order[9], like), order[12]),
        carray(pointer(order[10], index), order[12]),
        starts,
        carray(pointer(order[11] + 4 * row, like), rows),
    )
    width = 1 if samples <= SINGLE else LANES
    memory = order[13] + 4 * widest * width * (stage % 2)
    before = order[13] + 4 * widest * width * ((stage + 1) % 2)
    x = order[14] + 4 * begin * sizes[0]
    out = carray(pointer(order[15] + 4 * begin * sizes[layers], like), (samples - begin, sizes[layers]))
    if width == 1:
        source = carray(pointer(x if stage == 0 else before, like), sizes[stage])
        target = out[0] if stage == layers - 1 else carray(pointer(memory, like), rows)
        _rows(weights, source, target, first, last, code)
        return
    target = carray(pointer(memory, like), (rows, LANES))
    count = min(LANES, samples - begin)
    if stage < 0:
        given = carray(pointer(x, like), (count, rows))
        for j in range(count):
            for i in range(first, last):
                target[i, j] = given[j, i]
        return
    _rows_beside(weights, carray(pointer(before, like), (sizes[stage], LANES)), target, first, last, code)
    if stage == layers - 1:
        for i in range(first, last):
            for j in range(count):
                out[j, i] = target[i, j]


def _run(order: Any) -> None:
    """Do stage after stage; whoever is first at one waits until the one before is done."""
    samples, layers = order[2], order[4]
    done = pointer(order[1], order[0])
    beside = samples > SINGLE
    stages = layers + 1 if beside else layers
    step = LANES if beside else 1
    total = (samples + step - 1) // step * stages * PARTS
    share = claim(order)
    while share < total:
        stage, part = share // PARTS, share % PARTS
        while read(done) < stage * PARTS:
            pass
        begin = stage // stages * step
        layer = stage % stages - (1 if beside else 0)
        if order[3] == 16:
            _stage(order, np.uint16(0), begin, layer, part)
        else:
            _stage(order, np.uint32(0), begin, layer, part)
        claim(done)
        share = claim(order)


@cache
def shared() -> Shared:
    """Return the compiled chain."""
    return Shared(_run)

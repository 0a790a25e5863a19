"""Products with chosen columns of a matrix, accumulated in float64 whatever the matrix is stored in."""

from __future__ import annotations

from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled


@compiled
def add_columns(X: Any, columns: Any, values: Any, out: Any) -> None:
    """Add ``X[:, columns] @ values`` to out, column by column, four at a time (Fortran order)."""
    n = X.shape[0]
    count = columns.size
    i = 0
    while i + 4 <= count:
        a, b, c, d = X[:, columns[i]], X[:, columns[i + 1]], X[:, columns[i + 2]], X[:, columns[i + 3]]
        s, t, u, v = values[i], values[i + 1], values[i + 2], values[i + 3]
        for k in range(n):
            out[k] += (s * a[k] + t * b[k]) + (u * c[k] + v * d[k])
        i += 4
    while i < count:
        a, s = X[:, columns[i]], values[i]
        for k in range(n):
            out[k] += s * a[k]
        i += 1


@compiled
def add_from_rows(X: Any, columns: Any, values: Any, out: Any) -> None:
    """Add ``X[:, columns] @ values`` to out, row by row (C order)."""
    for k in range(X.shape[0]):
        row = X[k]
        total = 0.0
        for i in range(columns.size):
            total += values[i] * row[columns[i]]
        out[k] += total


@compiled
def dot_columns(X: Any, v: Any, out: Any) -> None:
    """Write ``X' v`` to out by one dot product a column (Fortran order)."""
    for j in range(X.shape[1]):
        column = X[:, j]
        total = 0.0
        for k in range(v.size):
            total += column[k] * v[k]
        out[j] = total


@compiled
def dot_chosen_columns(X: Any, columns: Any, v: Any, out: Any) -> None:
    """Write ``X[:, columns]' v`` to out by one dot product a column (Fortran order)."""
    for i in range(columns.size):
        column = X[:, columns[i]]
        total = 0.0
        for k in range(v.size):
            total += column[k] * v[k]
        out[i] = total


@compiled
def dot_rows(X: Any, v: Any, out: Any) -> None:
    """Write ``X' v`` to out by sums over rows (C order)."""
    out[:] = 0.0
    for k in range(X.shape[0]):
        row, value = X[k], v[k]
        for j in range(out.size):
            out[j] += value * row[j]


@compiled
def dot_columns_and_squares(
    X: Any, scale: Any, v: Any, row_weights: Any, by_columns: bool, out: Any, squares: Any
) -> None:
    """Write ``A'v`` and the diagonal of ``A' diag(row_weights) A`` for ``A = X diag(scale)``, in one pass."""
    if by_columns:
        for j in range(out.size):
            column, factor, total, square = X[:, j], scale[j], 0.0, 0.0
            for k in range(v.size):
                entry = factor * column[k]
                total += v[k] * entry
                square += row_weights[k] * entry * entry
            out[j], squares[j] = total, square
    else:
        out[:] = 0.0
        squares[:] = 0.0
        for k in range(v.size):
            row, value, weight = X[k], v[k], row_weights[k]
            for j in range(out.size):
                entry = scale[j] * row[j]
                out[j] += value * entry
                squares[j] += weight * entry * entry


@compiled
def take_by_columns(X: Any, columns: Any, factor: Any, means: Any, out: Any) -> None:
    """Write ``factor (X[:, columns] - means)`` to out; no means, no centring (Fortran order)."""
    for i in range(columns.size):
        column, target, scale = X[:, columns[i]], out[:, i], factor[i]
        if means.size == 0:
            for k in range(column.size):
                target[k] = scale * column[k]
        else:
            mean = means[i] / scale if scale != 0.0 else 0.0
            small = 1e-14 * abs(mean)
            for k in range(column.size):
                rest = column[k] - mean
                target[k] = scale * rest if abs(rest) > small else 0.0


@compiled
def take_by_rows(X: Any, columns: Any, factor: Any, means: Any, out: Any) -> None:
    """Write ``factor (X[:, columns] - means)`` to out; no means, no centring (C order)."""
    shift = np.zeros(columns.size)
    for i in range(means.size):
        if factor[i] != 0.0:
            shift[i] = means[i] / factor[i]
    for k in range(X.shape[0]):
        row = X[k]
        for i in range(columns.size):
            rest = row[columns[i]] - shift[i]
            out[k, i] = factor[i] * rest if abs(rest) > 1e-14 * abs(shift[i]) else 0.0


@compiled
def sparse_add_columns(data: Any, indices: Any, indptr: Any, columns: Any, values: Any, out: Any) -> None:
    """Add ``X[:, columns] @ values`` to out, X in CSC form."""
    for i in range(columns.size):
        value = values[i]
        for k in range(indptr[columns[i]], indptr[columns[i] + 1]):
            out[indices[k]] += value * data[k]


@compiled
def sparse_dot_columns(data: Any, indices: Any, indptr: Any, v: Any, out: Any) -> None:
    """Write ``X' v`` to out, X in CSC form."""
    for j in range(out.size):
        total = 0.0
        for k in range(indptr[j], indptr[j + 1]):
            total += data[k] * v[indices[k]]
        out[j] = total


@compiled
def sparse_dot_chosen_columns(data: Any, indices: Any, indptr: Any, columns: Any, v: Any, out: Any) -> None:
    """Write ``X[:, columns]' v`` to out, X in CSC form."""
    for i in range(columns.size):
        total = 0.0
        for k in range(indptr[columns[i]], indptr[columns[i] + 1]):
            total += data[k] * v[indices[k]]
        out[i] = total


@compiled
def sparse_dot_columns_and_squares(
    data: Any, indices: Any, indptr: Any, scale: Any, v: Any, row_weights: Any, out: Any, squares: Any
) -> None:
    """Write ``A'v`` and the diagonal of ``A' diag(row_weights) A``; ``A = X diag(scale)``, X in CSC form."""
    for j in range(out.size):
        factor, total, square = scale[j], 0.0, 0.0
        for k in range(indptr[j], indptr[j + 1]):
            row, entry = indices[k], factor * data[k]
            total += v[row] * entry
            square += row_weights[row] * entry * entry
        out[j], squares[j] = total, square


@compiled
def rows_of_columns(
    data: Any,
    indices: Any,
    indptr: Any,
    columns: Any,
    scale: Any,
    starts: Any,
    positions: Any,
    entries: Any,
) -> None:
    """Transpose chosen CSC columns into rows: positions among the columns, and entries times scale.

    ``starts`` has n_samples + 1 zeros on entry and the row pointers on return; positions come
    in increasing order within a row.
    """
    n = starts.size - 1
    for i in range(columns.size):
        for k in range(indptr[columns[i]], indptr[columns[i] + 1]):
            starts[indices[k] + 1] += 1
    for row in range(n):
        starts[row + 1] += starts[row]
    for i in range(columns.size):
        for k in range(indptr[columns[i]], indptr[columns[i] + 1]):
            row = indices[k]
            positions[starts[row]] = i
            entries[starts[row]] = data[k] * scale[i]
            starts[row] += 1
    for row in range(n, 0, -1):
        starts[row] = starts[row - 1]
    starts[0] = 0


@compiled
def add_row_products(starts: Any, positions: Any, entries: Any, row_weights: Any, first: int, G: Any) -> None:
    """Add ``sum_i h_i a_i a_i'`` to the lower triangle of G, rows of G from ``first`` on."""
    for row in range(row_weights.size):
        begin, end = starts[row], starts[row + 1]
        weight = row_weights[row]
        if weight == 0.0:
            continue
        for a in range(begin, end):
            p = positions[a]
            if p < first:
                continue
            value = weight * entries[a]
            target = G[p]
            for b in range(begin, a + 1):
                target[positions[b]] += value * entries[b]

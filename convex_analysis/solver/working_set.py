"""The columns a solver works with, and their weighted Gram matrix, grown block by block.

Its memory is handed on from solve to solve: fresh pages cost more than what is written to them.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from convex_analysis import steering
from convex_analysis.design import Design, Indices
from convex_analysis.kernels import products
from convex_analysis.kernels.cholesky import mirror
from convex_analysis.losses.loss import Vector
from convex_analysis.threads import threads_for

_Buffer = NDArray[np.uint8]


class _Shelf(threading.local):
    """The buffers of one thread that nobody uses."""

    def __init__(self) -> None:
        self.buffers: list[_Buffer] = []


_shelf = _Shelf()


class Owner:
    """Owns the arrays borrowed for it as long as it is referred to; replaced where they are outgrown."""


def borrow(owner: Owner, shape: tuple[int, ...], dtype: DTypeLike, order: Any = "C") -> NDArray[Any]:
    """Return an array with any contents, which belongs to ``owner`` until that is gone.

    Parameters
    ----------
    owner
        The only object that may refer to the array: its memory is used again after the owner.
    shape, dtype, order
        As for `numpy.empty`.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < steering.SMALLEST_BYTES:
        return np.empty(shape, dtype, order)
    fitting = [b for b in _shelf.buffers if size <= b.size <= steering.LARGEST_EXCESS * size]
    if fitting:
        buffer = min(fitting, key=lambda b: b.size)
        _shelf.buffers = [b for b in _shelf.buffers if b is not buffer]
    else:
        buffer = np.empty(size, np.uint8)
    weakref.finalize(owner, _give_back, buffer).atexit = False
    return np.ndarray(shape, dtype, buffer, order=order)


def _give_back(buffer: _Buffer) -> None:
    if buffer.size + sum(b.size for b in _shelf.buffers) <= steering.KEPT_BYTES:
        _shelf.buffers.append(buffer)


class WorkingSet:
    """Chosen columns of a design and the Gram matrix ``A_W' diag(h) A_W + diag(ridge)``.

    It is centred if there is an intercept.

    Parameters
    ----------
    design
        The operator A.
    centred
        Whether the weighted mean is taken out of each column: the effect of an optimal intercept.
    precision
        dtype of the Gram matrix. In float32 the products cost half; the solvers refine their steps
        with exact gradients, and turn to float64 where that does not converge.
    ridge
        Added to the diagonal, shape (n_features,), or None.

    Attributes
    ----------
    size
        Number of columns.
    gram
        Scratch of capacity (>= size)^2 whose leading block is the Gram matrix, C order.
    curvature
        Its diagonal, shape (size,), float64.
    """

    def __init__(
        self, design: Design, centred: bool, precision: DTypeLike = np.float32, ridge: Vector | None = None
    ) -> None:
        self.design = design
        self.ridge = ridge
        self.centred = centred
        # Taking out the means cancels digits that a sparse Gram matrix in float32 does not have.
        small = design.n_features <= steering.MANY_COLUMNS
        self.precision = np.dtype(np.float64 if small or (centred and design.sparse) else precision)
        self.size = 0
        self.position = np.full(design.n_features, -1, dtype=np.intp)
        self.curvature: Vector = np.empty(0)
        self._unit = design.n_samples**-0.5
        self._allocate(min(design.n_features, steering.FIRST_CAPACITY))

    @property
    def columns(self) -> Indices:
        """Indices of the columns, in the order of the Gram matrix, shape (size,)."""
        return self._columns[: self.size]

    def add(self, columns: Indices, row_curvature: Vector, *, refresh: bool = False) -> None:
        """Add columns that are not there yet, and bring the Gram matrix up to date.

        Parameters
        ----------
        columns
            Indices to add, shape (k,).
        row_curvature
            Weights h of the rows, shape (n_samples,).
        refresh
            Whether h has changed, so that the whole matrix must be made again.
        """
        first, self.size = self.size, self.size + columns.size
        self._reserve(self.size)
        self._columns[first : self.size] = columns
        self.position[columns] = np.arange(first, self.size)
        if not self.design.sparse:
            self._gather(first)
        begin = 0 if refresh else first
        if begin < self.size:
            (self._sparse_gram if self.design.sparse else self._dense_gram)(begin, row_curvature)
            if self.ridge is not None:
                places = np.arange(begin, self.size)
                self.gram[places, places] += self.ridge[self.columns[places]]
            mirror(self.gram, begin, self.size)
        self._note_curvature()

    def keep(self, chosen: Indices) -> None:
        """Drop all but the columns at the given places (increasing), with their part of the Gram matrix."""
        size = chosen.size
        self.position[self.columns] = -1
        self._columns[:size], self._means[:size] = self.columns[chosen], self._means[chosen]
        self.gram[:size, :size] = self.gram[np.ix_(chosen, chosen)]
        if self._block is not None:
            self._block[:, :size] = self._block[:, chosen]
        self.size = size
        self.position[self.columns] = np.arange(size)
        self._note_curvature()

    def double(self, row_curvature: Vector) -> None:
        """Make the Gram matrix again in float64."""
        columns = self.columns.copy()
        self.precision = np.dtype(np.float64)
        self.size = 0
        self._allocate(self._columns.size)
        self.add(columns, row_curvature)

    def _note_curvature(self) -> None:
        self.curvature = self.gram.diagonal()[: self.size].astype(np.float64)

    def _allocate(self, capacity: int) -> None:
        # Memory that is not touched is not there: a large capacity costs address space only.
        self._columns = np.empty(capacity, dtype=np.intp)
        self._means = np.zeros(capacity)
        stride = capacity + 16 if capacity % 64 == 0 else capacity  # rows must not share cache sets
        self._owner = Owner()
        self.gram = borrow(self._owner, (capacity, stride), self.precision)
        self._block: Any = None
        room = steering.KEPT_BYTES // (self.design.n_samples * self.precision.itemsize)
        if not self.design.sparse and room >= self.size:
            shape = (self.design.n_samples, min(capacity, room))
            self._block = borrow(self._owner, shape, self.precision, order="F")

    def _reserve(self, size: int) -> None:
        """Make room for so many columns; the block is given up where it would become too large."""
        old = self._columns.size
        if size > old:
            columns, means, gram, block = self._columns, self._means, self.gram, self._block
            owner = self._owner
            self._allocate(min(2 * size, self.design.n_features))
            self._columns[:old], self._means[:old] = columns, means
            self.gram[:old, :old] = gram[:, :old]
            if block is None or self._block is None:
                self._block = None
            else:
                self._block[:, : block.shape[1]] = block
            del owner, gram, block  # only now their memory may be used again
        if self._block is not None and self._block.shape[1] < size:
            self._block = None

    def _gather(self, first: int) -> None:
        """Note the means of the new columns, and copy these columns into the block if there is one."""
        if self.centred:
            for rows in self._row_parts():
                taken = self._taken(rows, first, np.float64, centred=False)
                self._means[first : self.size] += taken.sum(axis=0)
            self._means[first : self.size] /= self.design.n_samples
        if self._block is not None and first < self.size:
            self._take(slice(None), first, self._block[:, first : self.size], self.centred)

    def _take(self, rows: slice, first: int, out: Any, centred: bool) -> None:
        """Write the columns from ``first`` on, scaled, perhaps centred (a constant one becomes zero)."""
        X, columns = self.design.X[rows], self.columns[first:]
        scale = self.design.scale
        factor = self._unit if scale is None else self._unit * scale[columns]
        means = self._means[first : self.size] if centred else self._means[:0]
        by_columns = self.design.X.flags.f_contiguous
        take = products.take_by_columns if by_columns else products.take_by_rows
        take(X, columns, np.broadcast_to(factor, columns.shape), means, out)

    def _taken(self, rows: slice, first: int, dtype: DTypeLike, *, centred: bool) -> Any:
        height = len(range(*rows.indices(self.design.n_samples)))
        out = np.empty((height, self.size - first), dtype=dtype, order="F")
        self._take(rows, first, out, centred)
        return out

    def _row_parts(self) -> list[slice]:
        """Split the rows so that a part of all columns stays small."""
        height = max(64, steering.PART_BYTES // (8 * max(self.size, 1)))
        n_samples = self.design.n_samples
        return [slice(i, min(i + height, n_samples)) for i in range(0, n_samples, height)]

    def _dense_gram(self, first: int, row_curvature: Vector) -> None:
        """Fill the rows of the Gram matrix from ``first`` on, up to the diagonal at least."""
        size = self.size
        target = self.gram[first:size, :size]
        relative = row_curvature * self.design.n_samples  # the block holds columns over sqrt(n_samples)
        uniform = bool((np.abs(relative - 1.0) <= 1e-12).all())
        if uniform and self._block is not None:
            block = self._block[:, :size]
            with threads_for(target.size * self.design.n_samples):
                np.matmul(block[:, first:].T, block, out=target)
            return
        root = np.sqrt(relative).astype(self.precision)
        means = np.zeros(size)
        target[...] = 0.0
        for rows in self._row_parts() if self._block is None else [slice(None)]:
            if self._block is None:
                block = self._taken(rows, 0, self.precision, centred=self.centred)
                block *= root[rows, None]
            else:
                block = self._block[:, :size] * root[:, None]
            with threads_for(target.size * block.shape[0]):
                target += block[:, first:].T @ block
            if self.centred and not uniform:
                means += root[rows] @ block
        if self.centred and not uniform:
            total = max(float(relative.sum()), np.finfo(np.float64).tiny)  # all may have underflowed
            target -= np.outer(means[first:], means / total).astype(self.precision)

    def _sparse_gram(self, first: int, row_curvature: Vector) -> None:
        """Fill the rows of the Gram matrix from ``first`` on, up to the diagonal."""
        size, X, columns = self.size, self.design.X, self.columns
        scale = np.ones(size) if self.design.scale is None else self.design.scale[columns]
        counts = X.indptr[columns + 1] - X.indptr[columns]
        starts = np.zeros(self.design.n_samples + 1, dtype=np.int64)
        positions = np.empty(int(counts.sum()), dtype=np.int32)
        entries = np.empty(positions.size)
        products.rows_of_columns(X.data, X.indices, X.indptr, columns, scale, starts, positions, entries)
        part = self.gram[first:size, :size]
        part[...] = 0.0
        products.add_row_products(starts, positions, entries, row_curvature, first, self.gram)
        if self.centred:
            weighted = np.repeat(row_curvature, np.diff(starts)) * entries
            means = np.bincount(positions, weighted, minlength=size)
            raw = part.diagonal(first).copy()
            total = max(float(row_curvature.sum()), np.finfo(np.float64).tiny)
            part -= np.outer(means[first:], means / total)
            constant = first + np.flatnonzero(part.diagonal(first) <= 1e-13 * raw)
            self.gram[constant, :size] = 0.0

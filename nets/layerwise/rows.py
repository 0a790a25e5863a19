"""The rows of one layer: sparse least squares with one Gram matrix, solved for all rows at once.

Majorize-minimize on the Gram matrix: every step replaces the concave penalty by its tangent, a weighted l1
norm, and takes one step of the splitting ``V = Z`` for it, which is a matrix product with an inverse that is
formed once. lam grows from nearly nothing, warm from the dense weights, until the support has the count that
is asked for; then least squares on it is exact. At one lam the steps come to rest where an exact step of
majorize-minimize would; penalties that bend as much as the loss may make them circle until lam grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from concave_sparsity import Penalty
from nets.layerwise.support import Mask, Weights, conjugate_gradients, least_squares, pattern

#: Penalty parameter of the splitting, for a Gram matrix of unit diagonal, and how lam starts and grows.
RHO = 0.3
FIRST_LAM = 1e-6
GROWTH = 1.05
#: Growth while fewer than 2% of the weights have gone: nothing happens there yet.
FIRST_GROWTH = 1.5
LARGEST_LAM = 1e6
#: Steps of `LayerProblem.nearly_on`: 0.04 to 0.3% above the least error on layers of a sentence encoder.
NEAR_STEPS = 20

#: How many weights stay: of the layer; of each row, shape (out,); or of every group, a pattern "N:M".
Limit = int | Sequence[int] | NDArray[np.int64] | str


@dataclass(frozen=True)
class LayerProblem:
    """All rows of a layer: minimise 1/2 v'G v - c'v in each row under a limit on its nonzeros.

    Parameters
    ----------
    gram : ndarray, shape (d, d)
        Damped Gram matrix G = X'X / n + ridge: positive definite.
    correlations : ndarray, shape (out, d)
        Rows c = X'y / n, plus ridge times the dense weights.
    squares : ndarray, shape (out,)
        Constants: v'G v - 2 c'v + squares is the mean squared error of a row plus its damping.
    weights : ndarray, shape (out, d)
        Dense weights: where the search starts.
    """

    gram: Weights
    correlations: Weights
    squares: Weights
    weights: Weights

    @classmethod
    def of(
        cls, gram: Weights, weights: Weights, *, ridge: float = 0.01, cross: Weights | None = None,
        squares: Weights | None = None,
    ) -> LayerProblem:  # fmt: skip
        """Return the problem of a layer from moments of its inputs and wanted outputs.

        Parameters
        ----------
        gram : ndarray, shape (d, d)
            X'X / n.
        weights : ndarray, shape (out, d)
            Dense weights W.
        ridge : float
            Relative to the mean of the diagonal of `gram`; it draws to the dense weights.
        cross : ndarray, shape (out, d), optional
            Y'X / n; default W X'X / n.
        squares : ndarray, shape (out,), optional
            Means of y^2; default those of X W'.
        """
        product = weights @ gram
        cross = product if cross is None else cross
        squares = np.einsum("od,od->o", product, weights) if squares is None else squares
        mean = float(np.trace(gram)) / len(gram)
        # Inputs that never differ say nothing of the weights: the largest stay.
        damping = np.full(len(gram), ridge * mean if mean > 0 else 1.0)
        damping[(np.diag(gram) <= 1e-12 * mean) & (damping == 0.0)] = mean
        return cls(
            gram + np.diag(damping),
            cross + damping * weights,
            squares + np.einsum("od,od,d->o", weights, weights, damping),
            weights,
        )

    @property
    def total(self) -> int:
        """Number of weights."""
        return self.weights.size

    @cached_property
    def scaled(self) -> tuple[Weights, Weights, Weights]:
        """Roots s of the diagonal of G, shape (d,), and G and c for v s: of unit diagonal."""
        scale = np.sqrt(np.diag(self.gram))
        return scale, self.gram / np.outer(scale, scale), self.correlations / scale

    def on(self, mask: Mask) -> Weights:
        """Return the minimiser of every row among the weights that vanish outside the mask."""
        return least_squares(self.correlations, self.gram, mask)

    def nearly_on(self, mask: Mask) -> Weights:
        """Return nearly what `on` does, for comparisons: errors are some tenths of a percent larger.

        By conjugate gradients in single precision, a tenth of the work of a factorisation a row.
        """
        scale, gram, right = self.scaled
        size = np.sqrt(np.mean(np.square(right), axis=1, keepdims=True))
        size = np.where(size > 0, size, 1.0)
        parts = np.where(mask, self.weights * scale / size, 0.0), gram, right / size
        start, inner, wanted = (part.astype(np.float32) for part in parts)
        found: Weights = conjugate_gradients(start, mask, inner, wanted, NEAR_STEPS).astype(np.float64)
        return found * size / scale

    def errors(self, weights: Weights) -> Weights:
        """Return v'G v - 2 c'v + squares of each row, shape (out,)."""
        inner: Weights = np.einsum("od,od->o", weights @ self.gram - 2.0 * self.correlations, weights)
        return np.maximum(inner + self.squares, 0.0)


def prune_rows(
    problem: LayerProblem,
    penalty: Penalty,
    counts: Limit,
    *,
    search: bool = True,
    device: torch.device | str = "cpu",
    threads: int | None = None,
) -> tuple[Mask, Weights]:
    """Return the support and the values of a sparse layer: the path, exchanges, least squares.

    Parameters
    ----------
    problem, penalty, counts, device
        See `path_support`.
    search : bool
        Whether the support that the path leaves is improved by exchanges (`local_search`): within rows, and
        between them where `counts` is one number.
    threads : int, optional
        Rows are done side by side; default: as many as torch has. The result does not depend on it.

    Returns
    -------
    mask : ndarray of bool, shape (out, d)
    values : ndarray, shape (out, d)
        Exact minimisers on the support, zero elsewhere.
    """
    mask = path_support(problem, penalty, counts, device=device)
    if not search:
        return mask, problem.on(mask)
    from nets.layerwise.local_search import improve  # numba

    _, gram, correlations = problem.scaled
    better, before = improve(
        gram,
        correlations,
        problem.squares,
        mask,
        joint=isinstance(counts, int),
        groups=pattern(counts) if isinstance(counts, str) else None,
        threads=torch.get_num_threads() if threads is None else threads,
    )
    improved = problem.on(better)
    # The search is in single precision: where a layer is nearly singular it may have been misled.
    looked_at = ~np.isnan(before)
    if problem.errors(improved)[looked_at].sum() <= np.maximum(before[looked_at], 0.0).sum():
        return better, improved
    return mask, problem.on(mask)


def path_support(
    problem: LayerProblem,
    penalty: Penalty,
    counts: Limit,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Mask:
    """Return the support that majorize-minimize leaves where lam has grown until the count is reached.

    Parameters
    ----------
    problem : LayerProblem
        The layer.
    penalty : Penalty
        Of ``|v_i| sqrt(G_ii)`` relative to its root mean square over the dense weights of the layer, or of
        the row where counts are given row by row.
    counts : int, sequence of int, or str
        How many weights the layer keeps; or each row, shape (out,); or a pattern "N:M".
    device, dtype
        Where and how precisely the steps are done.
    """
    path = Path(problem, penalty, isinstance(counts, int), device, dtype)
    groups = _Groups(path.z, counts)
    while not groups.close(path) and path.lam < LARGEST_LAM:
        path.step(groups)
    return groups.mask()


def path_supports(problem: LayerProblem, penalty: Penalty, counts: Sequence[int]) -> list[Mask]:
    """Return `path_support` at several counts of the layer, from one run along lam."""
    path = Path(problem, penalty, True, "cpu", torch.float32)
    groups = [_Groups(path.z, count) for count in counts]
    while not np.all([one.close(path) for one in groups]) and path.lam < LARGEST_LAM:
        path.step()
    return [one.mask() for one in groups]


class Path:
    """Steps of majorize-minimize for all rows at once while lam grows.

    Parameters
    ----------
    problem, penalty, device, dtype
        See `path_support`.
    per_layer : bool
        Whether values are relative to their root mean square over the layer, or over each row.
    """

    def __init__(
        self,
        problem: LayerProblem,
        penalty: Penalty,
        per_layer: bool,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        scale, scaled, correlations = problem.scaled
        u = problem.weights * scale
        size = np.sqrt(np.mean(u * u, axis=None if per_layer else 1, keepdims=True))
        size = np.where(size > 0, size, 1.0)

        def tensor(a: Weights) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(a)).to(device=device, dtype=dtype)

        gram = torch.from_numpy(scaled)
        inverse = torch.linalg.inv(gram + RHO * torch.eye(len(gram), dtype=gram.dtype))
        self.inverse = inverse.to(device=device, dtype=dtype)
        self.right = tensor(correlations / size)
        self.z = tensor(u / size)
        self.dual = torch.zeros_like(self.z)
        self.penalty, self.lam = penalty, FIRST_LAM
        self.nonzeros = int(torch.count_nonzero(self.z))
        self.most = int(0.98 * self.nonzeros)

    def step(self, groups: _Groups | None = None) -> None:
        """Take one step, and let lam grow; groups that are closed bear no penalty any more."""
        weights = self.lam * self.penalty.derivative(self.z.abs())
        if groups is not None:
            weights = groups.weigh(weights)
        v = (self.right + RHO * (self.z - self.dual)) @ self.inverse + self.dual
        self.z = v.sign() * (v.abs() - weights / RHO).clamp_min_(0.0)
        self.dual = v - self.z
        self.nonzeros = int(torch.count_nonzero(self.z))
        self.lam *= FIRST_GROWTH if self.nonzeros > self.most else GROWTH


class _Groups:
    """Which weights are counted together: the layer, each row, or M consecutive ones.

    A group closes when it has no more nonzeros than it may keep: its support is then the largest of the step
    before, and bears no penalty any more, while the others go on.
    """

    def __init__(self, z: Tensor, counts: Limit) -> None:
        self.rows, self.width = z.shape
        self.padding, size = 0, self.width
        if isinstance(counts, str):
            n, size = pattern(counts)
            self.padding = -self.width % size
            kept = torch.full(((self.width + self.padding) // size,), n).repeat(self.rows)
        elif isinstance(counts, int):
            kept, size = torch.tensor([counts]), z.numel()
        else:
            kept = torch.as_tensor(np.asarray(counts), dtype=torch.int64)
        self.size, self.kept = size, kept.to(z.device)
        self.last = z
        self.closed = torch.zeros(len(kept), dtype=torch.bool, device=z.device)
        self.support = torch.zeros((len(kept), size), dtype=torch.bool, device=z.device)

    def _grouped(self, values: Tensor) -> Tensor:
        """Return the values by group, shape (groups, size); what pads the last group of a row is zero."""
        return functional.pad(values, (0, self.padding)).reshape(-1, self.size)

    def _flat(self, values: Tensor) -> Tensor:
        return values.reshape(self.rows, -1)[:, : self.width]

    def close(self, path: Path) -> bool:
        """Close the groups that are down to their counts; tell whether all are closed."""
        if len(self.kept) > 1:
            down = (self._grouped(path.z) != 0).sum(1) <= self.kept
        else:
            down = path.nonzeros <= self.kept
        down &= ~self.closed
        self._fix(down)
        self.closed |= down
        self.last = path.z
        return bool(self.closed.all())

    def _fix(self, which: Tensor) -> None:
        chosen = which.nonzero().flatten()
        if not len(chosen):
            return
        # A padded entry comes last, as its value is below every other.
        values = self._grouped(self.last.abs())[chosen]
        if self.padding:
            own = self._grouped(torch.ones((self.rows, self.width), device=values.device))[chosen]
            values[own == 0] = -1.0
        order = values.argsort(dim=1, descending=True, stable=True)
        first = torch.arange(self.size, device=values.device) < self.kept[chosen, None]
        self.support[chosen] = torch.zeros_like(first.expand_as(order)).scatter(
            1, order, first.expand_as(order)
        )

    def weigh(self, weights: Tensor) -> Tensor:
        """Return the weights of the l1 norm: in closed groups none on the support, infinite off it."""
        if not self.closed.any():
            return weights
        fixed = torch.where(self.support, 0.0, torch.inf).to(weights.dtype)
        return self._flat(torch.where(self.closed[:, None], fixed, self._grouped(weights)))

    def mask(self) -> Mask:
        """Return the support, boolean, shape (out, d)."""
        self._fix(~self.closed)
        mask: Mask = self._flat(self.support).cpu().numpy().copy()
        return mask

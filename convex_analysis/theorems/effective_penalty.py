"""The penalty that a mask with penalty r and weights with decay put on their product (theory.md, T11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty


@dataclass(frozen=True)
class EffectivePenalty:
    """``psi(b) = min over 0 < m <= 1 of lam r(m) + weight_decay b^2 / (2 m^2)``.

    Parameters
    ----------
    penalty
        The penalty r of the mask.
    lam
        Its strength, positive.
    weight_decay
        alpha in ``alpha/2 theta^2``, positive.

    Raises
    ------
    ValueError
        If lam or the weight decay is not a positive finite number.
    """

    penalty: Penalty
    lam: float
    weight_decay: float

    def __post_init__(self) -> None:
        for name, value in (("lam", self.lam), ("weight_decay", self.weight_decay)):
            if not (np.isfinite(value) and value > 0):
                raise ValueError(
                    f"{name} must be a positive finite number, got {value!r}; without weight decay the "
                    "mask can shrink while the weights grow, and nothing is penalised (theory.md, T11)."
                )

    def mask(self, b: Vector) -> Vector:
        """Return the optimal mask for each product, shape of b; 0 where b is 0."""
        size = np.abs(np.atleast_1d(np.asarray(b, dtype=np.float64)))
        flat = size.ravel()
        best = self._closed(flat)
        if best is None:
            best = self._search(flat)
        return np.where(flat > 0, best, 0.0).reshape(size.shape)

    def value(self, b: Vector) -> Vector:
        """Return psi(b), shape of b."""
        size = np.abs(np.atleast_1d(np.asarray(b, dtype=np.float64)))
        m = self.mask(size)
        ratio = np.divide(size, m, out=np.zeros_like(size), where=m > 0)
        result: Vector = self.lam * np.asarray(self.penalty.value(m)) + 0.5 * self.weight_decay * ratio**2
        return result

    def derivative(self, b: Vector) -> Vector:
        """Return ``psi'(b) = weight_decay b / m^2``; inf at zero with a sign of plus."""
        b = np.atleast_1d(np.asarray(b, dtype=np.float64))
        m = self.mask(b)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(m > 0, self.weight_decay * b / m**2, np.inf)

    @property
    def ridge_from(self) -> float:
        """b_0, ``sqrt(lam sup r'(m) m^3 / alpha)``: from here on psi is ``lam + weight_decay b^2 / 2``."""
        m = np.linspace(0.0, 1.0, 200001)[1:]
        slopes = self._slope(m)
        # r' is nonincreasing: its value at the near end bounds it on a cell.
        bound = float(np.max(slopes[:-1] * m[1:] ** 3, initial=float(slopes[-1])))
        return float(np.sqrt(self.lam * bound / self.weight_decay))

    @property
    def is_unimodal(self) -> bool:
        """Whether ``r'(m) m^3`` increases (on a grid): then psi is concave up to b_0, convex beyond."""
        m = np.linspace(0.0, 1.0, 20001)[1:]
        product = self._slope(m) * m**3
        return bool((np.diff(product) >= -1e-15 * product.max()).all() and product[-1] > 0)

    def _slope(self, m: Vector) -> Vector:
        slopes = np.asarray(self.penalty.derivative(m), dtype=np.float64).copy()
        slopes[m == 1.0] = float(self.penalty.slope_at_one)
        return slopes

    def _closed(self, size: Vector) -> Vector | None:
        from concave_sparsity import L1, Lq

        if isinstance(self.penalty, L1):
            q = 1.0
        elif isinstance(self.penalty, Lq) and self.penalty.smoothing == 0.0:
            q = self.penalty.q
        else:
            return None
        return np.minimum(1.0, (self.weight_decay * size**2 / (self.lam * q)) ** (1.0 / (q + 2.0)))

    def _search(self, size: Vector) -> Vector:
        """Return the global minimiser over a geometric grid, refined by golden sections in its cell."""
        # Below b sqrt(alpha / (lam r(1))) the decay alone costs more than the whole mask.
        share = np.sqrt(self.weight_decay / (self.lam * float(self.penalty.value(1.0))))
        with np.errstate(under="ignore"):
            least = max(float(np.min(size[size > 0.0], initial=1.0)) * share, 1e-300)
        least = min(least, 1e-8)
        fine = int(40.0 * np.log10(1e-2 / least))
        grid = np.concatenate([np.geomspace(least, 1e-2, fine)[:-1], np.geomspace(1e-2, 1.0, 700)])
        penalty = self.lam * np.asarray(self.penalty.value(grid))
        best = np.empty(size.size)
        for begin in range(0, size.size, 1000):
            part = size[begin : begin + 1000]
            values = penalty + 0.5 * self.weight_decay * (part[:, None] / grid) ** 2
            index = values.argmin(axis=1)
            low, high = grid[np.maximum(index - 1, 0)], grid[np.minimum(index + 1, grid.size - 1)]
            for _ in range(60):
                left, right = low + 0.381966 * (high - low), low + 0.618034 * (high - low)
                lower = self._bracket(left, part) <= self._bracket(right, part)
                low, high = np.where(lower, low, left), np.where(lower, right, high)
            middle = 0.5 * (low + high)
            ends = np.stack([middle, grid[index], np.ones_like(middle)])
            chosen = np.argmin(np.stack([self._bracket(m, part) for m in ends]), axis=0)
            best[begin : begin + 1000] = ends[chosen, np.arange(part.size)]
        return best

    def _bracket(self, m: Vector, size: Vector) -> Vector:
        value: Vector = (
            self.lam * np.asarray(self.penalty.value(m)) + 0.5 * self.weight_decay * (size / m) ** 2
        )
        return value

"""A penalty as the theorems see it: on [0, 1], with r(1) = 1, and its constants with their pedigree."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.constants.constant import Constant
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class NormalisedPenalty:
    """The penalty ``r(t) / r(1)`` on [0, 1]; lam is to be multiplied by `amplitude` = r(1).

    Parameters
    ----------
    penalty
        Any `concave_sparsity.Penalty` with r(1) > 0.

    Raises
    ------
    ValueError
        If r(1) is not a positive finite number.
    """

    def __init__(self, penalty: Penalty) -> None:
        self.penalty = penalty
        self.amplitude = float(penalty.value(1.0))
        if not (np.isfinite(self.amplitude) and self.amplitude > 0):
            raise ValueError(f"The penalty {penalty!r} has r(1) = {self.amplitude:g}: it must be positive.")

    def value(self, t: Vector) -> Vector:
        """Return r(t) / r(1)."""
        return np.asarray(self.penalty.value(t)) / self.amplitude

    def slope(self, t: Vector) -> Vector:
        """Return a supergradient of r / r(1) at t in [0, 1], at the ends the one-sided one."""
        t = np.asarray(t, dtype=np.float64)
        slopes = np.where(t > 0, self.slope_at_one.value, self.slope_at_zero.value)
        inside = (t > 0) & (t < 1)
        slopes[inside] = np.asarray(self.penalty.derivative(t[inside])) / self.amplitude
        return slopes

    @cached_property
    def slope_at_zero(self) -> Constant:
        """The right limit r'(0)."""
        return self._own("slope_at_zero")

    @cached_property
    def slope_at_one(self) -> Constant:
        """The left limit r'(1)."""
        return self._own("slope_at_one")

    @cached_property
    def curvature(self) -> Constant:
        """The constant c: the largest with r(t) - t >= c t (1 - t)."""
        constant = self._own("curvature")
        return Constant(min(max(constant.value, 0.0), 1.0), constant.certified, constant.method)

    @cached_property
    def weak_convexity(self) -> Constant:
        """The constant rho: the least that makes r + rho t^2 / 2 convex on [0, 1]."""
        return self._own("weak_convexity")

    @property
    def flat_from(self) -> float:
        """The least a with r' = 0 on [a, inf); inf if there is none."""
        return float(self.penalty.flat_from)

    @cached_property
    def contact(self) -> Constant:
        """The constant l = sup (1 - r(t)) / (1 - t)^2 over [0, 1); inf unless r'(1) = 0 (theory.md, T13).

        An upper bound where the penalty becomes flat inside [0, 1], else an estimate on a grid.
        """
        if self.curvature.value == 1.0:
            return Constant(1.0, self.curvature.certified, "c = 1")
        if self.slope_at_one.value > 0:
            return Constant(np.inf, self.slope_at_one.certified, "the slope at one is positive")
        if self.flat_from < 1.0:
            t = np.linspace(0.0, self.flat_from, 20001)
            bound = (1.0 - self.value(t[:-1])) / (1.0 - t[1:]) ** 2
            return Constant(
                max(1.0, float(bound.max())), True, "upper bound on 20000 cells up to the flat part"
            )
        t = 1.0 - np.geomspace(1e-6, 1.0, 20001)
        ratio = (1.0 - self.value(t)) / (1.0 - t) ** 2
        return Constant(max(1.0, float(ratio.max())), False, "largest value on a grid of 20001 points")

    @cached_property
    def violation_of_axioms(self) -> float:
        """How much r fails to be concave and nondecreasing from r(0) = 0, on a grid of 2001 points."""
        t = np.linspace(0.0, 1.0, 2001)
        r = self.value(t)
        if not np.isfinite(r).all():
            return np.inf
        second = r[2:] - 2.0 * r[1:-1] + r[:-2]
        rounding = 1e-14  # a few units in the last place of values up to one
        worst = max(abs(float(r[0])), float(-np.diff(r).min()), float(second.max())) - rounding
        return max(0.0, worst)

    def _own(self, name: str) -> Constant:
        from concave_sparsity import Penalty, Scaled

        penalty, whole = self.penalty, True
        if isinstance(penalty, Scaled):
            whole = penalty.penalty.stretched(penalty.scale) is not None
            penalty = penalty.penalty
        closed = whole and getattr(type(penalty), name) is not getattr(Penalty, name)
        value = float(getattr(self.penalty, name)) / self.amplitude
        method = (
            f"closed form of {type(penalty).__name__}" if closed else "numerical, from value and derivative"
        )
        return Constant(value, closed, method)

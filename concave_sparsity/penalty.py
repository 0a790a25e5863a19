"""The penalty: a concave function r of the magnitude of one coefficient, and its scaling."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeVar

from concave_sparsity import numerical_constants, numerical_prox
from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.parameters import positive, store
from concave_sparsity.proximal import boxed_prox

Real = TypeVar("Real")


class Penalty(ABC):
    """A concave, nondecreasing function r on [0, inf) with r(0) = 0, and r(1) = 1 where it is normalised.

    A user's own penalty needs ``value`` and ``derivative`` alone, on arrays of any shape; all else has a
    numerical default here, which the families of this package override by closed forms.

    Attributes
    ----------
    name : str
        Name for command lines and files.
    """

    name: ClassVar[str] = "penalty"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    @abstractmethod
    def value(self, t: Real) -> Real:
        """Return r(t) for t >= 0, elementwise; what it gives for negative t is not defined."""

    @abstractmethod
    def derivative(self, t: Real) -> Real:
        """Return r'(t) for t >= 0, elementwise: at 0 the right limit, at a kink a supergradient."""

    def prox(self, v: Any, step: Any, lower: Any = None, upper: Any = None) -> Any:
        """Return the global argmin of 1/2 (x - v)^2 + step r(|x|) over lower <= x <= upper, elementwise."""
        return boxed_prox(self.interval_prox, v, step, lower, upper)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Minimise 1/2 (t - w)^2 + step r(t) over lower <= t <= upper; 0 <= lower, upper <= max(lower, w)."""
        return numerical_prox.interval_prox(self.value, self.derivative, w, step, lower, upper, xp)

    @property
    def slope_at_zero(self) -> float:
        """The right limit r'(0+), in [1, inf] for a normalised penalty."""
        return numerical_constants.slope_at_zero(self.derivative)

    @property
    def slope_at_one(self) -> float:
        """The left limit r'(1-), in [0, 1] for a normalised penalty."""
        return numerical_constants.slope_at_one(self.derivative)

    @property
    def curvature(self) -> float:
        """The largest c with r(t) - r(1) t >= c t (1 - t) on [0, 1]; in [0, 1] for a normalised penalty."""
        return numerical_constants.curvature(self.value, self.derivative)

    @property
    def weak_convexity(self) -> float:
        """The least rho such that r + rho t^2 / 2 is convex on [0, 1]; inf at an infinite slope or a kink."""
        return numerical_constants.weak_convexity(self.derivative)

    @property
    def flat_from(self) -> float:
        """The least a with r' = 0 on [a, inf); inf if there is none."""
        return numerical_constants.flat_from(self.derivative)

    def stretched(self, scale: float) -> Penalty | None:
        """Return the member of the same family proportional to r(t / scale), or None if there is none."""
        return None

    def scaled(self, scale: float = 1.0, amplitude: float = 1.0) -> Penalty:
        """Return the penalty ``amplitude * r(t / scale)``."""
        return Scaled(self, scale, amplitude)


@dataclasses.dataclass(frozen=True)
class Scaled(Penalty):
    """The penalty ``amplitude * r(t / scale)`` of another penalty r."""

    penalty: Penalty
    scale: float = 1.0
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, Penalty):
            raise TypeError(f"only a Penalty can be scaled, got {self.penalty!r}")
        store(self, scale=positive(self.scale, "scale"), amplitude=positive(self.amplitude, "amplitude"))

    def value(self, t: Any) -> Any:
        """Return amplitude * r(t / scale)."""
        return self.amplitude * self.penalty.value(t / self.scale)

    def derivative(self, t: Any) -> Any:
        """Return amplitude / scale * r'(t / scale)."""
        return (self.amplitude / self.scale) * self.penalty.derivative(t / self.scale)

    @property
    def _member(self) -> tuple[float, Penalty] | None:
        """The factor and the family member of which this penalty is the product."""
        member = self.penalty.stretched(self.scale)
        if member is None:
            return None
        return self.amplitude * float(self.penalty.value(1.0 / self.scale)), member

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Minimise by the member of the family, or by x = scale z, which leaves the penalty unscaled."""
        if (found := self._member) is not None:
            factor, member = found
            return member.interval_prox(w, step * factor, lower, upper, xp)
        s = self.scale
        z = self.penalty.interval_prox(w / s, step * (self.amplitude / s / s), lower / s, upper / s, xp)
        return xp.minimum(xp.maximum(s * z, lower), upper)

    @property
    def slope_at_zero(self) -> float:
        """r'(0+)."""
        return self.amplitude / self.scale * self.penalty.slope_at_zero

    @property
    def slope_at_one(self) -> float:
        """r'(1-)."""
        if (found := self._member) is not None:
            return found[0] * found[1].slope_at_one
        return super().slope_at_one

    @property
    def curvature(self) -> float:
        """The largest c with r(t) - r(1) t >= c t (1 - t) on [0, 1]."""
        if (found := self._member) is not None:
            return found[0] * found[1].curvature
        return super().curvature

    @property
    def weak_convexity(self) -> float:
        """The least rho such that r(t) + rho t^2 / 2 is convex on [0, 1]."""
        if (found := self._member) is not None:
            return found[0] * found[1].weak_convexity
        return super().weak_convexity

    @property
    def flat_from(self) -> float:
        """The least a with r' = 0 on [a, inf)."""
        return self.scale * self.penalty.flat_from

    def scaled(self, scale: float = 1.0, amplitude: float = 1.0) -> Penalty:
        """Return one scaling for the two."""
        return Scaled(self.penalty, self.scale * scale, self.amplitude * amplitude)

"""The penalty: a concave function r of the magnitude of one coefficient, and its scaling."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from concave_sparsity import numerical_constants, numerical_prox
from concave_sparsity.arrays import Array, Namespace, Real, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.proximal import boxed_prox, clip


class Penalty(ABC):
    """A function r on [0, inf), concave and nondecreasing with r(0) = 0; normalised if r(1) = 1.

    A user's own penalty needs ``value`` and ``derivative`` alone::

        class Root(Penalty):
            def value(self, t):
                return ((t + 0.01) ** 0.5 - 0.1) / (1.01**0.5 - 0.1)

            def derivative(self, t):
                return 0.5 * (t + 0.01) ** -0.5 / (1.01**0.5 - 0.1)

    All else has a numerical default here, to the accuracy stated with each; the families of this package
    override it by closed forms. `check_axioms` tells whether a penalty keeps the contract. A penalty is not
    meant to change once made.

    The penalty of a signed coefficient x is r(|x|). ``value``, ``derivative`` and ``second_derivative`` take
    the magnitude: what they return at negative arguments is not defined and not checked.

    The constants describe r itself, normalised or not: multiplied by lam they do not depend on how a factor
    is shared between lam and r. With r(1) = 1 they are those of the theory.

    Attributes
    ----------
    name : str
        Name for command lines and files; a subclass that sets none gets its own in lower case, with hyphens.
    """

    name: ClassVar[str] = "penalty"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__.strip("_")).lower()

    # -- the function

    @abstractmethod
    def value(self, t: Real) -> Real:
        """Return r(t), elementwise.

        Parameters
        ----------
        t : float or array, t >= 0
            A float, a numpy array or a torch tensor; integers become float64.

        Returns
        -------
        float or array
            Of the shape, dtype and device of t; differentiable by torch where t is.
        """

    @abstractmethod
    def derivative(self, t: Real) -> Real:
        """Return r'(t), elementwise, for t >= 0 as in `value`.

        At 0 it is the right limit, which can be infinite. At a kink it is a supergradient; the families give
        the right limit, and at 1 the left limit `slope_at_one`.
        """

    def second_derivative(self, t: Real) -> Real:
        """Return r''(t), elementwise, for t >= 0 as in `value`; at a breakpoint the right limit.

        By default a central difference of sixth order of ``derivative`` with steps of t / 100. Its error is
        about 1e-13 r'(t) / t where r' is smooth on the scale of t, and larger where r' varies faster, within
        3% of a breakpoint, and below t = 1e-8.
        """
        return elementwise(lambda x, xp: numerical_constants.slope_of_slope(self.derivative, x, xp), t)

    # -- the proximal operator

    def prox(self, v: Any, step: Any, lower: Any = None, upper: Any = None) -> Any:
        """Return the global minimiser over lower <= x <= upper of 1/2 (x - v)^2 + step r(|x|), elementwise.

        Of equally good minimisers the one nearer to zero is taken (by default only up to rounding).
        ``step = 0`` projects v on the box.

        Parameters
        ----------
        v : float or array
            Any sign. NaN gives NaN; an infinite v the end of the box.
        step : float or array, finite and >= 0
            Broadcast against v.
        lower, upper : float or array, optional
            The box, lower <= upper, infinite ends allowed; broadcast against v. It need not contain 0.

        Returns
        -------
        float or array
            A float if all arguments are floats; else of the namespace and device of the arrays, the broadcast
            shape, and the dtype of v (of the first array, if v is a float).

        Raises
        ------
        ValueError
            If step is negative, NaN or infinite, or lower > upper. On an accelerator arrays are not checked,
            as that would wait for the device.

        Notes
        -----
        The families of this package use closed forms, exact to rounding. By default a search that bounds the
        objective from below on ever smaller cells (`concave_sparsity.numerical_prox`), in double precision on
        the processor: the objective is within rounding of the global minimum.
        """
        return boxed_prox(self.interval_prox, v, step, lower, upper)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Minimise 1/2 (t - w)^2 + step r(t) over lower <= t <= upper; a subclass may override it.

        Parameters
        ----------
        w : array, w >= 0
            One floating array of the namespace xp.
        step, lower, upper : array
            Arrays of the dtype and device of w that broadcast to its shape or beyond, with 0 <= lower <=
            upper <= max(lower, w): beyond that the objective only increases.
        xp : namespace
            The array API namespace of the arrays.

        Returns
        -------
        array
            The minimisers; `prox` does the rest (signs, boxes, NaN, infinity).
        """
        return numerical_prox.interval_prox(self.value, self.derivative, w, step, lower, upper, xp)

    # -- the constants of the theory, on [0, 1]

    @property
    def slope_at_zero(self) -> float:
        """The right limit r'(0+), in [r(1), inf]."""
        return numerical_constants.slope_at_zero(self.derivative)

    @property
    def slope_at_one(self) -> float:
        """The left limit r'(1-), in [0, r(1)]."""
        return numerical_constants.slope_at_one(self.derivative)

    @property
    def curvature(self) -> float:
        """The largest c with r(t) - r(1) t >= c t (1 - t) on [0, 1]: in [0, r(1)], and 0 for a linear r.

        It is at most min(r'(0) - r(1), r(1) - r'(1)). By default computed to 1e-8.
        """
        return numerical_constants.curvature(self.value, self.derivative)

    @property
    def weak_convexity(self) -> float:
        """The least rho such that r(t) + rho t^2 / 2 is convex on [0, 1]: the supremum of -r''.

        Infinite where the slope at 0 is, and where r has a kink inside. By default computed to 1e-8 (relative
        above 1) for r twice continuously differentiable or piecewise quadratic, else to about 1e-4.
        """
        return numerical_constants.weak_convexity(self.derivative, 1.0)

    # -- what else solvers and theorems ask

    @property
    def weak_convexity_unbounded(self) -> float:
        """The least rho such that r(t) + rho t^2 / 2 is convex on [0, inf); see `weak_convexity`.

        By default the search ends at 1e6.
        """
        return numerical_constants.weak_convexity(self.derivative, 1e6)

    @property
    def flat_from(self) -> float:
        """The least a such that r is constant on [a, inf), infinite if there is none.

        By default the point from which ``derivative`` returns exact zeros, if it does at 1e12.
        """
        return numerical_constants.flat_from(self.derivative)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The points of (0, inf) where r' jumps, increasing.

        By default the jumps of r' between 1e-9 and 1e6 that are larger than about a thousandth of its size,
        to double precision; a fainter one can be missed where r is curved.
        """
        return numerical_constants.kinks(self.derivative, 1e6)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The points of (0, inf) where r' or r'' jumps, increasing.

        By default the kinks: r'' is not searched.
        """
        return self.kinks

    @property
    def is_piecewise_quadratic(self) -> bool:
        """Whether r is a polynomial of degree at most 2 between breakpoints; by default unknown, so False."""
        return False

    # -- scaling

    def scaled(self, scale: float = 1.0, amplitude: float = 1.0) -> Penalty:
        """Return the penalty ``amplitude * r(t / scale)``, both positive.

        ``p.scaled(amplitude=1 / p.slope_at_zero)`` has slope 1 at zero.
        """
        return self if scale == amplitude == 1 else Scaled(self, scale, amplitude)

    def stretched(self, scale: float) -> Penalty | None:
        """Return the member of the same family proportional to r(t / scale), or None if there is none."""
        return None

    # -- files

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., "parameters": {...}}``, which `penalty_from_dict` turns into the penalty.

        Raises
        ------
        TypeError
            If the class is not a dataclass, so that its parameters are unknown; it may override this method.
        """
        if not dataclasses.is_dataclass(self):
            raise TypeError(
                f"the parameters of {type(self).__name__} are unknown: make it a dataclass or give it to_dict"
            )
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.init}
        return {
            "name": self.name,
            "parameters": {k: v.to_dict() if isinstance(v, Penalty) else v for k, v in values.items()},
        }


@dataclasses.dataclass(frozen=True, repr=False)
class Scaled(Penalty):
    """The penalty ``amplitude * r(t / scale)`` of another penalty r; `Penalty.scaled` makes it.

    Parameters
    ----------
    penalty : Penalty
        The penalty r.
    scale, amplitude : float
        Positive; scale in the unit of t.
    """

    penalty: Penalty
    scale: float = 1.0
    amplitude: float = 1.0

    name: ClassVar[str] = "scaled"

    if TYPE_CHECKING:
        _member: ClassVar[tuple[float, Penalty] | None]

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, Penalty):
            raise TypeError(f"only a Penalty can be scaled, got {self.penalty!r}")
        store(self, scale=positive(self.scale, "scale"), amplitude=positive(self.amplitude, "amplitude"))
        # A factor and the member of the family of which this penalty is the multiple, or None; a scale that
        # takes a parameter out of its range is refused here.
        member = self.penalty.stretched(self.scale)
        found = None if member is None else (self.amplitude * self.penalty.value(1.0 / self.scale), member)
        object.__setattr__(self, "_member", found)

    def __repr__(self) -> str:
        return f"{self.penalty!r}.scaled(scale={self.scale!r}, amplitude={self.amplitude!r})"

    def _apply(self, method: str, power: int, t: Real) -> Real:
        """Return the value (power 0) or the derivative of that order."""
        if (found := self._member) is not None:
            factor, penalty, scale = *found, 1.0
        else:
            factor, penalty, scale = self.amplitude / self.scale**power, self.penalty, self.scale
        function = getattr(penalty, method)
        return elementwise(lambda x, xp: factor * function(x / scale if scale != 1 else x), t)

    def value(self, t: Real) -> Real:
        """Return amplitude * r(t / scale)."""
        return self._apply("value", 0, t)

    def derivative(self, t: Real) -> Real:
        """Return amplitude / scale * r'(t / scale)."""
        return self._apply("derivative", 1, t)

    def second_derivative(self, t: Real) -> Real:
        """Return amplitude / scale^2 * r''(t / scale)."""
        return self._apply("second_derivative", 2, t)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Minimise by the member of the family, or by t = scale z, which leaves the penalty unscaled."""
        if (found := self._member) is not None:
            return found[1].interval_prox(w, step * found[0], lower, upper, xp)
        s = self.scale
        z = self.penalty.interval_prox(w / s, step * (self.amplitude / s / s), lower / s, upper / s, xp)
        return clip(s * z, lower, upper, xp)

    def _constant(self, name: str, from_zero: int | None) -> float:
        """Return a constant of the family's member times the factor.

        Without a family it is that of r by ``scale ** -from_zero``, if it belongs to 0 or all of [0, inf),
        and else (None) has to be computed on [0, 1].
        """
        if (found := self._member) is not None:
            return found[0] * float(getattr(found[1], name))
        if from_zero is not None:
            return self.amplitude * self.scale**-from_zero * float(getattr(self.penalty, name))
        return float(getattr(super(), name))

    @property
    def slope_at_zero(self) -> float:
        """The right limit r'(0+)."""
        return self._constant("slope_at_zero", 1)

    @property
    def slope_at_one(self) -> float:
        """The left limit r'(1-)."""
        return self._constant("slope_at_one", None)

    @property
    def curvature(self) -> float:
        """The largest c with r(t) - r(1) t >= c t (1 - t) on [0, 1]."""
        return self._constant("curvature", None)

    @property
    def weak_convexity(self) -> float:
        """The least rho such that r(t) + rho t^2 / 2 is convex on [0, 1]."""
        return self._constant("weak_convexity", None)

    @property
    def weak_convexity_unbounded(self) -> float:
        """The least rho such that r(t) + rho t^2 / 2 is convex on [0, inf)."""
        return self._constant("weak_convexity_unbounded", 2)

    def _points(self, name: str) -> tuple[float, ...]:
        if (found := self._member) is not None:
            return tuple(getattr(found[1], name))
        return tuple(self.scale * t for t in getattr(self.penalty, name))

    @property
    def flat_from(self) -> float:
        """The least a such that r is constant on [a, inf)."""
        return self.scale * self.penalty.flat_from if (found := self._member) is None else found[1].flat_from

    @property
    def kinks(self) -> tuple[float, ...]:
        """The points of (0, inf) where r' jumps."""
        return self._points("kinks")

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The points of (0, inf) where r' or r'' jumps."""
        return self._points("breakpoints")

    @property
    def is_piecewise_quadratic(self) -> bool:
        """Whether r is a polynomial of degree at most 2 between breakpoints."""
        return self.penalty.is_piecewise_quadratic

    def scaled(self, scale: float = 1.0, amplitude: float = 1.0) -> Penalty:
        """Return one scaling in the place of two."""
        scale, amplitude = positive(scale, "scale"), positive(amplitude, "amplitude")
        return self.penalty.scaled(self.scale * scale, self.amplitude * amplitude)

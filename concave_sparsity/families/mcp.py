"""The minimax concave penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import Family
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import clip, improvement


@dataclass(frozen=True)
class MCP(Family):
    """The minimax concave penalty: t - t^2 / (2 gamma) up to gamma, flat beyond; divided by its value at 1.

    Parameters
    ----------
    gamma : float, default 1
        Where it becomes flat, in the unit of t.

    References
    ----------
    Zhang (2010), Nearly unbiased variable selection under minimax concave penalty.
    """

    gamma: float = 1.0

    name: ClassVar[str] = "mcp"

    def __post_init__(self) -> None:
        store(self, gamma=positive(self.gamma, "MCP: gamma"))

    @classmethod
    def classical(cls, lam: float, gamma: float = 3.0) -> Penalty:
        """Return the penalty of Zhang (2010) and ncvreg, with lam in it.

        That is lam t - t^2 / (2 gamma) for t <= gamma lam, and gamma lam^2 / 2 beyond.
        """
        lam = positive(lam, "MCP.classical: lam")
        member = cls(gamma)
        return member.scaled(lam, lam * lam * member._norm)

    @property
    def _norm(self) -> float:
        """The value at 1 of the penalty with slope 1 at 0."""
        u = min(1.0, self.gamma)
        return u * (1.0 - u / (2.0 * self.gamma))

    def _value(self, t: Array, xp: Namespace) -> Array:
        u = xp.where(t >= self.gamma, self.gamma, t)
        return u * (1 - u / (2 * self.gamma)) / self._norm

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        return xp.where(t >= self.gamma, 0.0, 1 - t / self.gamma) / self._norm

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        bend = xp.where(xp.isnan(t), t, xp.ones_like(t) * -self.weak_convexity)
        return xp.where(t >= self.gamma, 0.0, bend)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Take the stationary point where the objective is convex, the better end where it is not.

        Up to gamma the objective is a parabola, beyond it falls towards w.
        """
        pull = step / self._norm
        bend = 1 - pull / self.gamma
        convex = bend > 0
        t = (w - pull) / xp.where(convex, bend, xp.ones_like(bend))
        t = clip(xp.where(convex & (t < self.gamma), t, upper), lower, upper, xp)
        better = improvement(lambda x: self._value(x, xp), w, step, lower, t) < 0
        return xp.where(convex | better, t, lower)

    def stretched(self, scale: float) -> MCP:
        """Return MCP(gamma * scale)."""
        return MCP(self.gamma * scale)

    @property
    def slope_at_zero(self) -> float:
        """2 gamma / (2 gamma - 1) for gamma >= 1, else 2 / gamma."""
        return 1.0 / self._norm

    @property
    def slope_at_one(self) -> float:
        """2 (gamma - 1) / (2 gamma - 1) for gamma >= 1, else 0."""
        return max(0.0, 1.0 - 1.0 / self.gamma) / self._norm

    @property
    def curvature(self) -> float:
        """1 / (2 gamma - 1) for gamma >= 1, else 1."""
        return 1.0 / (2.0 * self.gamma - 1.0) if self.gamma > 1 else 1.0

    @property
    def weak_convexity(self) -> float:
        """2 / (2 gamma - 1) for gamma >= 1, else 2 / gamma^2."""
        return 1.0 / (self.gamma * self._norm)

    @property
    def weak_convexity_unbounded(self) -> float:
        """The same as on [0, 1]."""
        return self.weak_convexity

    @property
    def flat_from(self) -> float:
        """The point gamma."""
        return self.gamma

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The point gamma."""
        return (self.gamma,)

    @property
    def is_piecewise_quadratic(self) -> bool:
        """True."""
        return True

"""The minimax concave penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import best_of


@dataclass(frozen=True)
class MCP(Penalty):
    """The minimax concave penalty of Zhang (2010): t - t^2 / (2 gamma) up to gamma, flat beyond; r(1) = 1.

    Parameters
    ----------
    gamma : float
        Where it becomes flat, in the unit of t.
    """

    gamma: float = 1.0

    name: ClassVar[str] = "mcp"

    def __post_init__(self) -> None:
        store(self, gamma=positive(self.gamma, "MCP: gamma"))

    @classmethod
    def classical(cls, lam: float, gamma: float = 3.0) -> Penalty:
        """Return lam t - t^2 / (2 gamma) up to gamma lam, gamma lam^2 / 2 beyond (Zhang 2010, ncvreg)."""
        lam = positive(lam, "MCP.classical: lam")
        member = cls(gamma)
        return member.scaled(lam, lam * lam * member._norm)

    @property
    def _norm(self) -> float:
        """The value at 1 of the penalty with unit slope at 0."""
        u = min(1.0, self.gamma)
        return u * (1.0 - u / (2.0 * self.gamma))

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return u (1 - u / (2 gamma)) with u = min(t, gamma), divided by its value at 1."""
        u = xp.where(t > self.gamma, self.gamma, t)
        return u * (1 - u / (2 * self.gamma)) / self._norm

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return max(0, 1 - t / gamma), divided by the norm."""
        return xp.where(t > self.gamma, 0.0, 1 - t / self.gamma) / self._norm

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the ends with the stationary point of the quadratic piece, where that piece is convex."""
        pull = step / self._norm
        bend = 1 - pull / self.gamma
        convex = bend > 0
        t = (w - pull) / xp.where(convex, bend, xp.ones_like(bend))
        t = xp.where(convex & (t < self.gamma), t, lower)
        t = xp.minimum(xp.maximum(t, lower), upper)
        return best_of(self.value, w, step, [lower, t, upper], xp)

    def stretched(self, scale: float) -> MCP:
        """Return MCP(gamma * scale)."""
        return MCP(self.gamma * scale)

    @property
    def slope_at_zero(self) -> float:
        """2 gamma / (2 gamma - 1) for gamma >= 1, else 2 / gamma."""
        return 1.0 / self._norm

    @property
    def slope_at_one(self) -> float:
        """(1 - 1/gamma) times the slope at zero for gamma >= 1, else 0."""
        return max(0.0, 1.0 - 1.0 / self.gamma) / self._norm

    @property
    def curvature(self) -> float:
        """1 / (2 gamma - 1) for gamma >= 1, else 1."""
        return 1.0 / (2.0 * self.gamma - 1.0) if self.gamma > 1 else 1.0

    @property
    def weak_convexity(self) -> float:
        """1 / (gamma norm)."""
        return 1.0 / (self.gamma * self._norm)

    @property
    def flat_from(self) -> float:
        """Gamma."""
        return self.gamma

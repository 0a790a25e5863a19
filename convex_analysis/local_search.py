"""Better minima than stationarity alone gives: moves of one coordinate, and removals with repair.

Majorize-minimize ends where no small step helps. With a steep concave penalty there are many such
points. Two searches on the quadratic model lead out of the poor ones, each step lowering the
objective: a coordinate goes to the global minimum of its own one-dimensional problem (the
proximal operator knows it), and an entry of the support is removed, the others adapted, and the
result kept if it is better.
"""

from __future__ import annotations

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.quadratic_model import QuadraticModel
from convex_analysis.reweighting import RestrictedPenalty, reweight

# A gain below this share of the scale of the objective does not count.
_SMALLEST_GAIN = 1e-7
# Removals tried without success before the search ends, and the largest support it is made for.
_REMOVALS = 8
# Moves of single coordinates between two rounds of reweighting.
_MOVES = 8
_LARGEST_SUPPORT = 400


class LocalSearch:
    """Search around stationary points of a quadratic model plus a concave penalty.

    Parameters
    ----------
    model
        The quadratic model.
    penalty
        The penalty on the working set.
    lower, upper
        Box, shape (p,).
    scale
        Scale of the objective: gains below 1e-7 of it are ignored.
    tolerance
        First-order violation to which the points are found.
    """

    def __init__(
        self,
        model: QuadraticModel,
        penalty: RestrictedPenalty,
        lower: Vector,
        upper: Vector,
        scale: float,
        tolerance: float,
    ) -> None:
        self.model = model
        self.penalty = penalty
        self.lower, self.upper = lower, upper
        self.smallest = _SMALLEST_GAIN * scale
        self.tolerance = tolerance
        self.curvature = model.working.curvature
        self.gram = model.working.gram
        self.size = lower.size
        self.threshold = penalty.entry_slope(self.curvature)

    def run(self, x: Vector, gradient: Vector, max_steps: int) -> tuple[Vector, list[float]]:
        """Return a point at least as good, and the decreases that led to it.

        Parameters
        ----------
        x, gradient
            A stationary point on the working set and the gradient of the quadratic there, shape (p,).
        max_steps
            Largest number of reweighting steps in one repair.
        """
        x, gradient, decreases = self._settle(x, gradient, self.lower, self.upper, max_steps)
        queue = self._removals(x)
        while queue:
            found = self._without(queue.pop(0), x, gradient, max_steps)
            if found is not None:
                x, gradient, gain = found
                decreases.append(gain)
                queue = self._removals(x)
        return x, decreases

    def _settle(
        self, x: Vector, gradient: Vector, lower: Vector, upper: Vector, max_steps: int
    ) -> tuple[Vector, Vector, list[float]]:
        """Alternate moves of single coordinates and reweighting until neither helps."""
        decreases: list[float] = []
        for _ in range(max_steps):
            x, gradient, gains = self._coordinate_moves(x, gradient, lower, upper)
            if not gains:
                break
            decreases.extend(gains)
            settled = reweight(self.model, self.penalty, gradient, x, lower, upper, self.tolerance, max_steps)
            decreases.extend(settled.decreases)
            x, gradient = settled.x, settled.gradient
        return x, gradient, decreases

    def _coordinate_moves(
        self, x: Vector, gradient: Vector, lower: Vector, upper: Vector
    ) -> tuple[Vector, Vector, list[float]]:
        """Let coordinates enter, leave or change sign, the one with the largest gain first.

        Moves that keep the pattern are left to the reweighting, which makes them all at once.
        """
        x, gradient = x.copy(), gradient.copy()
        gains: list[float] = []
        for _ in range(_MOVES):
            worth = (self.curvature > 0.0) & (lower < upper)
            candidates = np.flatnonzero(worth & ((x != 0.0) | (np.abs(gradient) > self.threshold)))
            if not candidates.size:
                break
            c, old = self.curvature[candidates], x[candidates]
            target = old - gradient[candidates] / c
            new = self.penalty.prox(candidates, target, c, lower, upper)
            changed = np.flatnonzero(np.sign(new) != np.sign(old))
            if not changed.size:
                break
            candidates = candidates[changed]
            c, old, target, new = c[changed], old[changed], target[changed], new[changed]
            gain = 0.5 * c * ((old - target) ** 2 - (new - target) ** 2)
            gain += self.penalty.values(candidates, old) - self.penalty.values(candidates, new)
            best = int(np.argmax(gain))
            if not gain[best] > self.smallest:
                break
            j = candidates[best]
            gradient += (new[best] - x[j]) * self.gram[j, : self.size]
            x[j] = new[best]
            gains.append(float(gain[best]))
        return x, gradient, gains

    def _removals(self, x: Vector) -> list[int]:
        """Return the entries whose removal should cost least by the second-order model, cheapest first."""
        support = np.flatnonzero((x != 0.0) & (self.lower <= 0.0) & (self.upper >= 0.0))
        if not 1 < support.size <= _LARGEST_SUPPORT:
            return []
        values = x[support]
        bend = np.maximum(self.penalty.bend(x)[support], -0.9 * self.curvature[support])
        hessian = self.gram[np.ix_(support, support)].astype(np.float64)
        hessian[np.diag_indices(support.size)] += bend + 1e-10 * self.curvature[support]
        try:
            spread = np.linalg.inv(hessian).diagonal()
        except np.linalg.LinAlgError:
            return []
        # Without x_j the others adapt; the penalty saved is its chord beyond its tangent.
        cost = 0.5 * values**2 / np.maximum(spread, 1e-300)
        saved = self.penalty.values(support, values) - self.penalty.weights(x)[support] * np.abs(values)
        order = np.argsort(cost - saved, kind="stable")[:_REMOVALS]
        return [int(j) for j in support[order]]

    def _without(
        self, index: int, x: Vector, gradient: Vector, max_steps: int
    ) -> tuple[Vector, Vector, float] | None:
        """Remove an entry, adapt the others, let it come back if it wants to; None if that is no better."""
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[index] = upper[index] = 0.0
        trial, slope = x.copy(), gradient - x[index] * self.gram[index, : self.size]
        trial[index] = 0.0
        found = reweight(self.model, self.penalty, slope, trial, lower, upper, self.tolerance, max_steps)
        trial, slope, _ = self._settle(found.x, found.gradient, lower, upper, max_steps)
        trial, slope, _ = self._settle(trial, slope, self.lower, self.upper, max_steps)
        gain = (
            0.5 * float((x - trial) @ (gradient + slope)) + self.penalty.value(x) - self.penalty.value(trial)
        )
        return (trial, slope, gain) if gain > self.smallest else None

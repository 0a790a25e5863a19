"""Better minima than stationarity alone gives: moves of one coordinate, and exchanges with repair.

Majorize-minimize ends where no small step helps. With a steep concave penalty there are many such
points. Two searches on the quadratic model lead out of the poor ones, each step lowering the
objective: a coordinate goes to the global minimum of its own one-dimensional problem (the
proximal operator knows it), and an entry of the support is removed, the others adapted by a Newton
step, and perhaps another column taken in. All exchanges are weighed at once; the best is made.
"""

from __future__ import annotations

import numpy as np

from convex_analysis.design import Indices
from convex_analysis.losses.loss import Vector
from convex_analysis.quadratic_model import QuadraticModel
from convex_analysis.reweighting import RestrictedPenalty, Reweighting, reweight

# A gain below this share of the scale of the objective does not count.
_SMALLEST_GAIN = 1e-7
# Removals weighed at once, and the largest support they are weighed for.
_REMOVALS = 32
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
        First-order violation to which the points are found (or up to which it would gain too little).
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
        self.curvature = model.working.curvature
        # A violation v is worth about v^2 / (2 curvature): smaller gains than the smallest are not sought.
        flattest = float(self.curvature.min(initial=np.inf, where=self.curvature > 0.0))
        worth = (2.0 * self.smallest * flattest) ** 0.5 if np.isfinite(flattest) else 0.0
        self.tolerance = max(tolerance, 0.5 * worth)
        self.gram = model.working.gram
        self.size = lower.size
        self.threshold = penalty.entry_slope(self.curvature)

    def run(self, x: Vector, gradient: Vector, max_steps: int) -> Reweighting:
        """Return a point at least as good, and the decreases that led to it.

        Parameters
        ----------
        x, gradient
            A stationary point on the working set and the gradient of the quadratic there, shape (p,).
        max_steps
            Largest number of reweighting steps in one repair, and of exchanges.
        """
        found = self._settle(Reweighting(x, gradient), max_steps)
        for _ in range(max_steps):
            exchanged = self._exchange(found.x, found.gradient)
            if exchanged is None:
                break
            found = self._settle(found.then(exchanged), max_steps)
        return found

    def _settle(self, found: Reweighting, max_steps: int) -> Reweighting:
        """Alternate reweighting and moves of single coordinates until neither helps."""
        lower, upper = self.lower, self.upper
        for turn in range(max_steps):
            if turn or found.decreases:
                found = found.then(
                    reweight(
                        self.model, self.penalty, found.gradient, found.x, lower, upper,
                        self.tolerance, max_steps,
                    )
                )  # fmt: skip
            moved = self._coordinate_moves(found.x, found.gradient)
            if not moved.decreases:
                break
            found = found.then(moved)
        return found

    def _coordinate_moves(self, x: Vector, gradient: Vector) -> Reweighting:
        """Let coordinates enter, leave or change sign, the one with the largest gain first.

        Moves that keep the pattern are left to the reweighting, which makes them all at once.
        """
        lower, upper = self.lower, self.upper
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
        return Reweighting(x, gradient, gains)

    def _exchange(self, x: Vector, gradient: Vector) -> Reweighting | None:
        """Make the best of all removals, each with a column that comes in or without; None if none helps."""
        support = np.flatnonzero((x != 0.0) & (self.lower <= 0.0) & (self.upper >= 0.0))
        if not 1 < support.size <= _LARGEST_SUPPORT:
            return None
        trials = self._removals(x, support)
        if trials is None:
            return None
        # The loss is quadratic: its change is exact; the penalty is evaluated at every trial point.
        values = x[support]
        step = trials - values[:, None]
        rows = self.gram[support, : self.size]
        hessian = rows[:, support].astype(np.float64)
        change = (gradient[support] + 0.5 * (hessian @ step).T) * step.T
        scale = self.penalty.scale[support]
        units = self.penalty.units[support]
        before = scale * self.penalty.penalty.value(units * np.abs(values))
        after = scale[:, None] * self.penalty.penalty.value(units[:, None] * np.abs(trials))
        gains = before.sum() - after.sum(axis=0) - change.sum(axis=1)
        slopes = gradient[:, None] + rows.T @ step.astype(rows.dtype)
        entering, targets, more = self._entries(x, slopes)
        best = int(np.argmax(gains + more))
        gain = float(gains[best] + more[best])
        if not gain > self.smallest:
            return None
        x = x.copy()
        x[support] = trials[:, best]
        gradient = gradient + step[:, best] @ rows
        if more[best] > 0.0:
            j = entering[best]
            x[j] = targets[best]
            gradient += targets[best] * self.gram[j, : self.size]
        return Reweighting(x, gradient, [gain])

    def _removals(self, x: Vector, support: Indices) -> Vector | None:
        """Return the support's values after each of the cheapest removals, shape (support, removals).

        The others adapt by one Newton step with the penalty's bend; an entry that it would carry over
        zero or out of the box stops there.
        """
        values = x[support]
        bend = np.maximum(self.penalty.bend(x)[support], -0.9 * self.curvature[support])
        hessian = self.gram[np.ix_(support, support)].astype(np.float64)
        hessian[np.diag_indices(support.size)] += bend + 1e-10 * self.curvature[support]
        try:
            inverse = np.linalg.inv(hessian)
        except np.linalg.LinAlgError:
            return None
        spread = inverse.diagonal()
        # Without x_j the others adapt; the penalty saved is its chord beyond its tangent.
        cost = 0.5 * values**2 / np.maximum(spread, 1e-300)
        saved = self.penalty.values(support, values) - self.penalty.weights(x)[support] * np.abs(values)
        chosen = np.argsort(cost - saved, kind="stable")[:_REMOVALS]
        share = values[chosen] / np.where(spread[chosen] > 0.0, spread[chosen], np.inf)
        trials = values[:, None] - inverse[:, chosen] * share
        trials[(np.sign(trials) != np.sign(values)[:, None])] = 0.0
        trials = np.clip(trials, self.lower[support, None], self.upper[support, None])
        trials[chosen, np.arange(chosen.size)] = 0.0
        return trials

    def _entries(self, x: Vector, slopes: Vector) -> tuple[Indices, Vector, Vector]:
        """Return for each column of slopes the zero that gains most by moving, its new value and the gain."""
        count = slopes.shape[1]
        entering, targets, gains = np.zeros(count, dtype=np.intp), np.zeros(count), np.zeros(count)
        able = (x == 0.0) & (self.curvature > 0.0) & (self.lower < self.upper)
        places, trial = np.nonzero((np.abs(slopes) > self.threshold[:, None]) & able[:, None])
        if places.size:
            c = self.curvature[places]
            target = -slopes[places, trial] / c
            new = self.penalty.prox(places, target, c, self.lower, self.upper)
            gain = 0.5 * c * (target**2 - (new - target) ** 2) - self.penalty.values(places, new)
            order = np.argsort(gain, kind="stable")  # the last one written is the largest
            entering[trial[order]], targets[trial[order]] = places[order], new[order]
            gains[trial[order]] = np.maximum(gain[order], 0.0)
        return entering, targets, gains

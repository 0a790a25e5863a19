"""Better minima than stationarity alone gives: moves of one coordinate, and exchanges with repair.

Majorize-minimize ends where no small step helps. With a steep concave penalty there are many such
points. Two searches on the quadratic model lead out of the poor ones, each step lowering the
objective: a coordinate goes to the global minimum of its own one-dimensional problem (the
proximal operator knows it), and an entry of the support is removed, the others adapted by a Newton
step, and perhaps another column taken in. All exchanges are weighed at once; the best is made.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from convex_analysis import steering
from convex_analysis.design import Indices
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Separable
from convex_analysis.solver.model_gram import GramModel
from convex_analysis.solver.reweighting import Reweighting, reweight


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
    allowance
        Work, in multiply-adds, after which no further exchange is begun.

    Attributes
    ----------
    work
        Work done so far, estimated.
    """

    def __init__(
        self,
        model: GramModel,
        penalty: Separable,
        lower: Vector,
        upper: Vector,
        scale: float,
        tolerance: float,
        allowance: float,
    ) -> None:
        self.work, self.allowance = 0.0, allowance
        self.model = model
        self.penalty = penalty
        self.lower, self.upper = lower, upper
        self.smallest = steering.SMALLEST_GAIN * scale
        self.curvature = model.working.curvature
        # A violation v is worth about v^2 / (2 curvature): smaller gains than the smallest are not sought.
        flattest = float(self.curvature.min(initial=np.inf, where=self.curvature > 0.0))
        worth = (2.0 * self.smallest * flattest) ** 0.5 if np.isfinite(flattest) else 0.0
        self.tolerance = max(tolerance, 0.5 * worth)
        self.gram = model.working.gram
        self.size = lower.size
        self.threshold = penalty.entry_slope(self.curvature)
        self.movable = (self.curvature > 0.0) & (lower < upper)
        self.may_vanish = (lower <= 0.0) & (upper >= 0.0) & self.movable

    def run(self, x: Vector, gradient: Vector, max_steps: int, exchanges: bool) -> Reweighting:
        """Return a point at least as good, and the decreases that led to it.

        Parameters
        ----------
        x, gradient
            A stationary point on the working set and the gradient of the quadratic there, shape (p,).
        max_steps
            Largest number of reweighting steps in one repair, and of exchanges.
        exchanges
            Whether to exchange entries, or to move single coordinates only.
        """
        found = self._settle(Reweighting(x, gradient), max_steps)
        for _ in range(max_steps):
            if not exchanges or self.work > self.allowance:
                break
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
        x, gradient = x.copy(), gradient.copy()
        gains: list[float] = []
        for _ in range(steering.MOVES):
            self.work += steering.ROUND
            places, values, gain = self._single_moves(x, gradient)
            best = int(np.argmax(gain)) if gain.size else -1
            if best < 0 or not gain[best] > self.smallest:
                break
            j = places[best]
            gradient += (values[best] - x[j]) * self.gram[j, : self.size]
            x[j] = values[best]
            gains.append(float(gain[best]))
        return Reweighting(x, gradient, gains)

    def _single_moves(self, x: Vector, gradient: Vector) -> tuple[Indices, Vector, Vector]:
        """Return coordinates that may move alone, their new values and the gains.

        An entry of the support goes to zero; one drawn to the other side, or a zero with a steep enough
        gradient, to its own global minimum.
        """
        support = self._to_zero(x)
        old, slope, c = x[support], gradient[support], self.curvature[support]
        leaving = self.penalty.values(support, old) + old * (slope - 0.5 * c * old)
        drawn = old * (c * old - slope) < 0.0
        zeros = np.flatnonzero(self.movable & (x == 0.0) & (np.abs(gradient) > self.threshold))
        asked = np.concatenate([zeros, support[drawn]])
        if not asked.size:
            return support, np.zeros(support.size), leaving
        c, old = self.curvature[asked], x[asked]
        target = old - gradient[asked] / c
        new = self.penalty.prox(asked, target, c, self.lower, self.upper)
        gain = 0.5 * c * ((old - target) ** 2 - (new - target) ** 2)
        gain += self.penalty.values(asked, old) - self.penalty.values(asked, new)
        gain[np.sign(new) == np.sign(old)] = 0.0
        return (
            np.concatenate([support, asked]),
            np.concatenate([np.zeros(support.size), new]),
            np.concatenate([leaving, gain]),
        )

    def _to_zero(self, x: Vector) -> Indices:
        """Return the entries of the support that may become zero."""
        return np.flatnonzero((x != 0.0) & self.may_vanish)

    def _exchange(self, x: Vector, gradient: Vector) -> Reweighting | None:
        """Make the best of all removals, each with a column that comes in or without; None if none helps."""
        support = self._to_zero(x)
        if not 1 < support.size <= steering.LARGEST_SUPPORT:
            return None
        self.work += (
            3.0 * steering.ROUND + support.size**3 / 3.0 + 2.0 * steering.REMOVALS * support.size * self.size
        )
        rows = self.gram[support, : self.size]
        hessian = rows[:, support].astype(np.float64)
        trials = self._removals(x, support, hessian)
        if trials is None:
            return None
        # The loss is quadratic: its change is exact; the penalty is evaluated at every trial point.
        values = x[support]
        step = trials - values[:, None]
        change = (gradient[support] + 0.5 * (hessian @ step).T) * step.T
        before, after = self.penalty.values(support, values), self.penalty.values(support, trials)
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

    def _removals(self, x: Vector, support: Indices, hessian: Vector) -> Vector | None:
        """Return the support's values after each of the cheapest removals, shape (support, removals).

        The others adapt by one Newton step with the penalty's bend; an entry that it would carry over
        zero or out of the box stops there.
        """
        values = x[support]
        at = self.penalty.entries(x)
        bend = np.maximum(self.penalty.bend(at)[support], -0.9 * self.curvature[support])
        inverse = _inverse(hessian + np.diag(bend + 1e-10 * self.curvature[support]))
        if inverse is None:
            return None
        spread = inverse.diagonal()
        # Without x_j the others adapt; the penalty saved is its chord beyond its tangent.
        cost = 0.5 * values**2 / np.maximum(spread, 1e-300)
        saved = self.penalty.values(support, values) - self.penalty.weights(at)[support] * np.abs(values)
        chosen = np.argsort(cost - saved, kind="stable")[: steering.REMOVALS]
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
        able = np.flatnonzero((x == 0.0) & self.movable)
        places, trial = np.nonzero(np.abs(slopes[able]) > self.threshold[able, None])
        places = able[places]
        if places.size:
            c = self.curvature[places]
            target = -slopes[places, trial] / c
            new = self.penalty.prox(places, target, c, self.lower, self.upper)
            gain = 0.5 * c * (target**2 - (new - target) ** 2) - self.penalty.values(places, new)
            order = np.argsort(gain, kind="stable")  # the last one written is the largest
            entering[trial[order]], targets[trial[order]] = places[order], new[order]
            gains[trial[order]] = np.maximum(gain[order], 0.0)
        return entering, targets, gains


def _inverse(hessian: Vector) -> Vector | None:
    """Return the inverse of a symmetric matrix, or None; by Cholesky where it is positive definite."""
    L, failed = dpotrf(hessian, lower=1)
    inverse: Vector
    if not failed:
        lower = dpotri(L, lower=1)[0]
        inverse = np.tril(lower) + np.tril(lower, -1).T
        return inverse
    try:
        inverse = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
        return inverse
    except np.linalg.LinAlgError:
        return None

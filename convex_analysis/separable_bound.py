"""How far any point is from the global minimum at most, coordinate by coordinate or group by group (T20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convex_analysis import steering
from convex_analysis.constants import Rounding, curvature_factor, dense_design, row_curvature_on_box
from convex_analysis.constants.curvature import EPS, Matrix
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Grouped

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_FAR = 1e150


@dataclass(frozen=True, eq=False)
class SeparableBound:
    """A lower bound of the global minimum that separates over the coordinates, or over the groups.

    Attributes
    ----------
    gap
        ``F(x) - min F`` is at most this; inf where nothing is known.
    curvature
        The diagonal delta with ``f(t) >= f(x) + g'(t - x) + 1/2 sum delta_j (t_j - x_j)^2`` on the box, one
        entry a coordinate or group.
    needed
        The least delta at which x_j (or x_g) is the global minimiser of its own problem, up to rounding;
        where ``curvature >= needed`` everywhere, x is a global minimiser.
    """

    gap: float
    curvature: Vector
    needed: Vector


class _Coordinates:
    """The one-dimensional problems ``delta s^2 / 2 + g s + scale (r(|x + s|) - r(|x|))``."""

    def __init__(self, problem: Problem, x: Vector, gradient: Vector, wrong: Vector) -> None:
        self.penalty = problem.penalty
        self.x, self.gradient, self.wrong = x, gradient, wrong
        self.lower, self.upper = problem.lower, problem.upper
        self._arrange(problem)
        self.size = self.scale.size
        self.here = self._penalty(x)
        slope = float(np.asarray(self.penalty.derivative(np.array([_FAR])))[0])
        self._slope_far = self.scale * slope

    def _arrange(self, problem: Problem) -> None:
        self.scale = problem.lam * problem.penalty_factor
        self._unit = 8.0 * EPS

    def gather(self, entries: Vector) -> Vector:
        """Return the sum of the entries of each problem's coordinates."""
        return entries

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return each problem's value for all of its coordinates."""
        return values

    def _lengths(self, t: Vector) -> Vector:
        lengths: Vector = np.abs(t)
        return lengths

    def _prox(self, target: Vector, step: Vector) -> Vector:
        return np.asarray(self.penalty.prox(target, step, self.lower, self.upper))

    def _penalty(self, t: Vector) -> Vector:
        charged = self.scale * np.asarray(self.penalty.value(self._lengths(t)))
        values: Vector = np.where(self.scale > 0, charged, 0.0)
        return values

    def _at(self, t: Vector, delta: Vector) -> Vector:
        """Return the value at t, lowered by what rounding may have added."""
        s = t - self.x
        squares = 0.5 * self.spread(delta) * s * s
        curved, sloped, charged = self.gather(squares), self.gradient * s, self._penalty(t)
        size = curved + self.gather(np.abs(sloped)) + charged + self.here
        value: Vector = curved + self.gather(sloped) + (charged - self.here) - self._unit * size
        return value

    def least(self, delta: Vector) -> tuple[Vector, Vector]:
        """Return lower bounds of the minima over the box, and the minimisers.

        A millionth of the curvature pays for the gradient's rounding: ``-e |s| + 1e-6 delta s^2 / 2`` is at
        least ``-e^2 / (2e-6 delta)``; on a box ``-e |s|`` is at least its value at the farther end.
        """
        bent = delta > 0
        kept = np.where(bent, (1.0 - 1e-6) * delta, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            target, step = self.x - self.gradient / self.spread(kept), self.scale / kept
            usable = bent & np.isfinite(self.gather(target)) & np.isfinite(step)
        here = self.spread(usable)
        target, step = np.where(here, target, 0.0), np.where(usable, step, 0.0)
        t = np.where(here, self._prox(target, step), self.x)
        values = np.where(usable, self._at(t, kept), 0.0)
        far = np.maximum(self.upper - self.x, self.x - self.lower)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            on_box = self.gather(np.where(self.wrong > 0, self.wrong * far, 0.0))
            by_curvature = np.where(usable, self.gather(self.wrong**2) / (2e-6 * delta), np.inf)
        values = values - np.where(usable, np.fmin(on_box, by_curvature), 0.0)
        if not usable.all():
            straight, end = self._straight()
            values = np.where(usable, values, straight)
            t = np.where(here, t, end)
        # The point itself is admissible: no minimum is positive.
        return np.minimum(values, 0.0), t

    def _straight(self) -> tuple[Vector, Vector]:
        """Return the minima without curvature: a concave function is least at the ends or at zero."""
        least, place = np.zeros_like(self.x), self.x.copy()
        for end, outwards in ((self.lower, -1.0), (self.upper, 1.0), (np.zeros_like(self.x), 0.0)):
            inside = np.isfinite(end) & (end >= self.lower) & (end <= self.upper)
            t = np.where(inside, end, self.x)
            value = self._at(t, np.zeros_like(t)) - self.wrong * np.abs(t - self.x)
            value = np.where(inside & (t != self.x), value, 0.0)
            # Towards infinity the slope of the penalty only falls: it must outweigh the gradient there.
            falls = np.isinf(end) & (outwards * self.gradient + self._slope_far - self.wrong < 0.0)
            value = np.where(falls, -np.inf, value)
            place = np.where(value < least, t, place)
            least = np.minimum(least, value)
        return least, place

    def needed(self, largest: float, slack: float) -> Vector:
        """Return the least delta at which a coordinate's minimum is at least ``-slack``; inf if none."""
        low = np.zeros_like(self.scale)
        high = np.full_like(self.scale, largest)
        reached = self.least(high)[0] >= -slack
        flat = self.least(low)[0] >= -slack
        for _ in range(40):  # a factor of 1e-12 of the largest
            middle = 0.5 * (low + high)
            enough = self.least(middle)[0] >= -slack
            high, low = np.where(enough, middle, high), np.where(enough, low, middle)
        needed: Vector = np.where(flat, 0.0, np.where(reached, high, np.inf))
        return needed


class _Norms(_Coordinates):
    """Those of the groups, ``delta ||s||^2 / 2 + g's + scale (r(||x + s||) - r(||x||))``, without bounds."""

    def _arrange(self, problem: Problem) -> None:
        regulariser = problem.regulariser
        assert isinstance(regulariser, Grouped)
        self._groups = regulariser
        self.scale = regulariser.entry(regulariser.scale)
        self._fixed = regulariser.entry(self.lower == self.upper)
        self._unit = (8.0 + 2.0 * float(np.diff(regulariser.starts).max())) * EPS

    def gather(self, entries: Vector) -> Vector:
        return self._groups.total(entries)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        return self._groups.spread(values)

    def _lengths(self, t: Vector) -> Vector:
        return self._groups.norms(t)

    def _prox(self, target: Vector, step: Vector) -> Vector:
        """Shorten the targets: the penalty sees no direction. A group that is left out stays at zero."""
        norms = self._groups.norms(target)
        found = np.asarray(self.penalty.prox(norms, step, 0.0, np.inf))
        share = np.divide(found, norms, out=np.zeros_like(norms), where=(norms > 0.0) & ~self._fixed)
        found_at: Vector = target * self.spread(share)
        return found_at

    def _straight(self) -> tuple[Vector, Vector]:
        """Return the minima without curvature: a norm's concave function is least at zero or infinite."""
        zero = np.zeros_like(self.x)
        wrong, gradient = (self._groups.norms(part) for part in (self.wrong, self.gradient))
        value = self._at(zero, np.zeros_like(self.scale)) - self.gather(self.wrong * np.abs(self.x))
        value = np.where(self._slope_far < gradient + wrong, -np.inf, np.minimum(value, 0.0))
        value[self._fixed] = 0.0
        return value, np.where(self.spread(value < 0.0), zero, self.x)


class _Curvature:
    """Diagonals below ``C'C``, from singular values: their rounding is that of C, not of its square."""

    def __init__(self, factor: Matrix, wrong: Vector) -> None:
        if factor.shape[0] > factor.shape[1]:
            wrong = wrong + 8.0 * EPS * factor.shape[1] * np.linalg.norm(factor, axis=0)
            factor = np.asarray(np.linalg.qr(factor, mode="r"))
        self.factor, self.wrong = factor, wrong

    def largest_multiple(self, weights: Vector) -> tuple[float, Vector]:
        """Return the largest s with ``s diag(weights) <= C'C``, certified, and the direction that stops it.

        Parameters
        ----------
        weights
            Not negative, shape (n_features,); coordinates of weight zero are free.
        """
        kept = np.flatnonzero(weights > 0)
        direction = np.zeros(weights.size)
        if not kept.size:
            return np.inf, direction
        rest = np.flatnonzero(~(weights > 0))
        factor = self.factor
        wrong = float(np.linalg.norm(self.wrong[kept] / np.sqrt(weights[kept])))
        if rest.size:
            # h'C'Ch >= min over h_rest: project the free columns away.
            basis, values, _ = np.linalg.svd(factor[:, rest], full_matrices=False)
            basis = basis[:, values > 1e-12 * max(values[0], 1e-300)]
            factor = factor - basis @ (basis.T @ factor)
            size = float(np.linalg.norm(self.factor[:, kept] / np.sqrt(weights[kept])))
            wrong += 1e-10 * size + float(np.linalg.norm(self.wrong[rest])) * size
        scaled = factor[:, kept] / np.sqrt(weights[kept])
        if scaled.shape[0] < kept.size:
            return 0.0, direction
        _, singular, rows = np.linalg.svd(scaled, full_matrices=False)
        least = float(singular[-1]) - wrong - 8.0 * EPS * kept.size * float(singular[0])
        direction[kept] = rows[-1] / np.sqrt(weights[kept])
        return max(least, 0.0) ** 2, direction


def separable_bound(problem: Problem, x: Vector, intercept: float = 0.0) -> SeparableBound:
    """Bound ``F(x) - min F`` from above at any point of the box.

    ``min F - F(x) >= sum_j min_t [delta_j / 2 (t - x_j)^2 + g_j (t - x_j) + lam (r(|t|) - r(|x_j|))]`` for
    every diagonal delta below the curvature of the data fit on the box (docs/theory.md, T20); each minimum is
    a proximal step. First the curvature that each coordinate needs is looked for; if the data fit
    has it, x is a global minimiser. Otherwise the curvature is split so that the sum is as large as a few
    supergradient steps make it (the sum is concave in delta). With groups, delta has one entry a group.

    Parameters
    ----------
    problem
        Any problem. Without curvature on the box (fewer samples than features, a logistic loss on an
        unbounded box) the bound is often infinite, and that of T1 is the one to use.
    x
        Point of the box, shape (n_features,).
    intercept
        The best one at x; ignored without ``fit_intercept``.

    Returns
    -------
    SeparableBound
    """
    size = problem.n_features
    terms = size if problem.group is None else np.unique(problem.group).size
    nothing = SeparableBound(np.inf, np.zeros(terms), np.full(terms, np.inf))
    if size > steering.SEPARABLE_LIMIT or (problem.n_samples < size and problem.ridge is None):
        return nothing
    design = dense_design(problem)
    factor = curvature_factor(problem, design, row_curvature_on_box(problem, design))
    if not np.isfinite(factor).all():
        return nothing
    magnitude = np.sqrt(problem.row_weights) @ np.abs(design) if problem.fit_intercept else np.zeros(size)
    curvature = _Curvature(factor, 4.0 * EPS * (magnitude + np.linalg.norm(factor, axis=0)))
    coordinates = (_Coordinates if problem.group is None else _Norms)(
        problem,
        x,
        problem.gradient(x, intercept),
        Rounding(problem, design).of_gradient(x, intercept),
    )
    norms = coordinates.gather(np.einsum("ij,ij->j", factor, factor))
    largest = 4.0 * float(norms.max(initial=0.0))
    if largest == 0.0:
        return nothing
    slack = 1e-12 * abs(problem.objective(x, intercept)) / size
    needed = coordinates.needed(largest, slack)
    wanted = np.where(np.isfinite(needed), needed, largest)
    candidates = [wanted, np.ones(terms), norms, np.maximum(wanted, 1e-3 * norms)]
    best, split = -np.inf, np.zeros(terms)
    for weights in candidates:
        multiple, _ = curvature.largest_multiple(coordinates.spread(weights))
        delta = min(multiple, 1.0) * weights if weights is wanted else multiple * weights
        total = float(coordinates.least(delta)[0].sum())
        if total > best:
            best, split = total, delta
    if size <= steering.SPLIT_LIMIT and split.any() and -best > 10.0 * slack * size:
        best, split = _split(coordinates, curvature, split, best)
    return SeparableBound(max(-best, 0.0), split, needed)


def _split(
    coordinates: _Coordinates, curvature: _Curvature, delta: Vector, best: float
) -> tuple[float, Vector]:
    """Improve the split of the curvature by supergradient steps along the edge of what the data fit has."""
    step = 0.5
    current = delta
    for _ in range(steering.SPLIT_ROUNDS):
        multiple, direction = curvature.largest_multiple(
            coordinates.spread(np.maximum(current, 1e-12 * current.max(initial=1e-300)))
        )
        moved = coordinates.least(current)[1] - coordinates.x
        length = float(np.linalg.norm(direction))
        if not 0.0 < length < np.inf:
            break
        gain = 0.5 * coordinates.gather(moved * moved)
        price = coordinates.gather((direction / length) ** 2)
        gain[~np.isfinite(gain)] = np.nanmax(np.where(np.isfinite(gain), gain, 0.0))
        norm = float(price @ price)
        if not norm > 0 or not gain.any():
            break
        along = gain - (float(gain @ price) / norm) * price
        reach = float(np.abs(along).max())
        if reach == 0.0:
            break
        trial = np.maximum(current + step * float(current.max()) * along / reach, 0.0)
        trial = np.maximum(trial, 1e-9 * float(trial.max()))
        multiple, _ = curvature.largest_multiple(coordinates.spread(trial))
        trial = min(multiple, 1e300) * trial
        total = float(coordinates.least(trial)[0].sum())
        if total > best:
            best, current = total, trial
            step = min(1.0, 1.5 * step)
        else:
            step *= 0.5
    return best, current

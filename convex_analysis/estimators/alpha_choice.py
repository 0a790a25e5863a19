"""What the estimators that choose alpha share: grid, folds, choice, and the final path on all samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv

from convex_analysis.estimators import cross_validation
from convex_analysis.estimators.alpha_problem import AlphaProblem
from convex_analysis.estimators.cross_validation import Solutions
from convex_analysis.estimators.linear_model import ConcaveLinearModel, linear_predictor
from convex_analysis.losses import Loss
from convex_analysis.losses.loss import Vector
from convex_analysis.parameters import Folds, Nothing, Number, Numbers, Rule, Word
from convex_analysis.solution import Solution

CHOICE_RULES: dict[str, tuple[Rule, ...]] = {
    "alphas": (Numbers(), Nothing()),
    "n_alphas": (Number(low=1, integer=True),),
    "alpha_min_ratio": (Number(low=0, high=1, above=True),),
    "cv": (Number(low=2, integer=True), Nothing(), Folds()),
    "selection": (Word(cross_validation.SELECTIONS),),
    "n_jobs": (Number(integer=True), Nothing()),
}

# From the solutions of each target, and the samples to judge them on with their weights, to losses of
# shape (n_alphas, n_quantities).
Judge = Callable[[list[Solutions], NDArray[np.intp], Vector | None], Vector]


class AlphaChoice(ConcaveLinearModel):
    """Base of the estimators that choose alpha by cross-validation."""

    alpha_: float
    alphas_: Vector
    _classifies: ClassVar[bool]

    def _choose_alpha(
        self,
        X: Any,
        targets: Sequence[Vector],
        labels: Any,
        loss: str | Loss,
        weights: Vector | None,
        judge: Judge,
    ) -> tuple[list[Solution], NDArray[np.float64]]:
        """Choose alpha and solve on all samples.

        Parameters
        ----------
        X
            Data as validated.
        targets
            Targets of each problem: one for regression and two classes, else one a class.
        labels
            What the folds are made from.
        loss, weights
            Loss and sample weights.
        judge
            Held-out losses; alpha is chosen by the first quantity.

        Returns
        -------
        solutions
            One a target, at the alpha chosen.
        losses
            Held-out losses, shape (n_alphas, n_folds, n_quantities).
        """
        problems = [self._problem(X, target, loss, 1.0, weights) for target in targets]
        alphas = self._alphas(problems)
        folds = list(check_cv(self.cv, labels, classifier=self._classifies).split(X, labels))

        def along(problem: AlphaProblem, alphas: Vector) -> Solutions:
            return cross_validation.solve_along(problem, alphas, self.start, self.tol, self.max_iter)

        def paths(times: NDArray[np.float64]) -> list[Solutions]:
            kept = times if weights is None else times * weights
            return [along(problem.with_sample_weight(kept), alphas) for problem in problems]

        def losses(found: list[Solutions], test: NDArray[np.intp]) -> Vector:
            return judge(found, test, None if weights is None else weights[test])

        results = cross_validation.held_out(folds, paths, losses, X.shape[0], self.n_jobs)
        table = np.stack([held_out for held_out, _ in results], axis=1)
        chosen = cross_validation.chosen_index(table[:, :, 0], self.selection)
        self.alphas_, self.alpha_ = alphas, float(alphas[chosen])
        final = [along(problem, alphas[: chosen + 1]) for problem in problems]
        runs = [solution for _, solutions in results for solution in solutions]
        cross_validation.warn_once([*(path[-1] for path in final), *runs])
        return [path[-1] for path in final], table

    def _alphas(self, problems: list[AlphaProblem]) -> Vector:
        if self.alphas is None:
            return cross_validation.alpha_grid(problems, int(self.n_alphas), float(self.alpha_min_ratio))
        alphas = np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))
        if alphas.size == 0 or not np.isfinite(alphas).all() or (alphas < 0).any():
            raise ValueError(
                f"alphas must be finite numbers, not negative, one or more; got {self.alphas!r}."
            )
        return np.sort(alphas)[::-1].copy()


def path_predictor(X: Any, path: Solutions) -> Vector:
    """Return the linear predictors of each solution, shape (n_samples, n_alphas)."""
    return linear_predictor(X, np.array([one.x for one in path]), np.array([one.intercept for one in path]))


def weighted_mean(values: Vector, weights: Vector | None) -> Vector:
    """Return means over the samples (the first axis), shape (n_alphas,); NaN where no sample has weight."""
    if weights is None:
        mean: Vector = values.mean(axis=0)
        return mean
    total = float(weights.sum())
    if total <= 0.0:
        return np.full(values.shape[1], np.nan)
    weighted: Vector = weights @ values / total
    return weighted

"""What the estimators that choose alpha share: grid, folds, choice, and the final path on all samples."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing

from convex_analysis.cross_validation import SELECTIONS, Fold, chosen_index, held_out, warn_at_edge
from convex_analysis.estimators.linear_model import ConcaveLinearModel, Fitted, linear_predictor, quietly
from convex_analysis.losses.loss import Vector
from convex_analysis.parameters import Folds, Function, Nothing, Number, Numbers, Rule, Word
from convex_analysis.regularisation_path import follow, lam_of_zero
from convex_analysis.solution import ConvergenceWarning, Solution
from convex_analysis.solver.stop import Stop

CHOICE_RULES: dict[str, tuple[Rule, ...]] = {
    "alphas": (Number(low=1, integer=True), Numbers(), Nothing()),
    "n_alphas": (Number(low=1, integer=True),),
    "alpha_min_ratio": (Number(low=0, high=1, above=True),),
    "cv": (Number(low=2, integer=True), Nothing(), Folds()),
    "selection": (Word(SELECTIONS),),
    "scoring": (Word(), Function(), Nothing()),
    "n_jobs": (Number(integer=True), Nothing()),
}

_BLOCK = 100_000  # predictors judged at a time

Solutions = tuple[Fitted, ...]
# From the solutions of each target, and the samples to judge them on with their weights, to losses of
# shape (n_alphas, n_quantities).
Judge = Callable[[list[Solutions], NDArray[np.intp], Vector | None], Vector]


class AlphaChoice(ConcaveLinearModel):
    """Base of the estimators that choose alpha by cross-validation."""

    alpha_: float
    alphas_: Vector
    coef_path_: Vector
    intercept_path_: Vector
    _classifies: ClassVar[bool]

    # Groups are the splitter's: it says whether it wants them.
    __metadata_request__fit: ClassVar = {"groups": UNUSED}

    def get_metadata_routing(self) -> Any:
        """Return what fit passes on: to the splitter (its groups, say) and to the scorer."""
        router = (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv, classifier=self._classifies),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )
        if self.scoring is not None:
            router.add(
                scorer=check_scoring(self, scoring=self.scoring),
                method_mapping=MethodMapping().add(caller="fit", callee="score"),
            )
        return router

    def _choose_alpha(
        self,
        data: tuple[Any, Any],
        problems: Sequence[Any],
        labels: Any,
        weights: tuple[Vector | None, Vector | None],
        judge: Judge,
        passed: dict[str, Any],
    ) -> tuple[list[Fitted], NDArray[np.float64]]:
        """Choose alpha and solve on all samples.

        Parameters
        ----------
        data
            X as validated and y as given.
        problems
            One, or one a class where each is fitted against the rest; without penalty and alpha.
        labels
            What the folds are made from.
        weights
            Sample weights of training and of judgement.
        judge
            Held-out losses; alpha is chosen by the first quantity unless there is a scorer.
        passed
            What fit was given for the splitter and the scorer.

        Returns
        -------
        solutions
            One a target, at the alpha chosen.
        losses
            Held-out losses, shape (n_alphas, n_folds, n_quantities); the first decides.
        """
        (X, y), (trained, judged) = data, weights
        alphas = self._alphas(problems)
        routed = process_routing(self, "fit", **passed)
        folds = self._folds(X, labels, trained, dict(routed.splitter.split))
        extra = dict(routed.scorer.score) if self.scoring is not None else {}

        def along(problem: Any) -> Solutions:
            at: list[Any] = []
            for alpha in alphas:  # each from the one before, whose penalty it may share
                at.append(self._at(at[-1] if at else problem, alpha))
            with quietly():
                found = follow(at, self.start, Stop(self.tol, self.max_iter))
            return tuple(Fitted.of(problem, one) for one in found)

        def fit(times: NDArray[np.float64]) -> list[Solutions]:
            kept = times if trained is None else times * trained
            return [along(problem.with_sample_weight(kept)) for problem in problems]

        def losses(found: list[Solutions], test: NDArray[np.intp]) -> Vector:
            table = _in_blocks(judge, found, test, judged, alphas.size)
            if self.scoring is None:
                return table
            part = None if judged is None else judged[test]
            scores = self._scores(found, X[test], y[test], part, extra)
            return np.column_stack((-scores, table))

        results = held_out(folds, fit, losses, X.shape[0], self.n_jobs)
        table = np.stack([one for one, _ in results], axis=1)
        chosen = chosen_index(table[:, :, 0], self.selection)
        given = self.alphas is not None and np.ndim(self.alphas) > 0
        remedy = "give smaller alphas" if given else "give a smaller alpha_min_ratio"
        warn_at_edge(table[:, :, 0], alphas, "alpha", remedy, 3)
        self.alphas_, self.alpha_ = alphas, float(alphas[chosen])
        final = [along(problem) for problem in problems]
        self._keep_path(final, X.dtype)
        runs = [one.solution for _, found in results for target in found for one in target]
        warn_once([*(one[chosen].solution for one in final), *runs])
        return [one[chosen] for one in final], table

    def _keep_path(self, final: list[Solutions], dtype: Any) -> None:
        """Keep the coefficients along alpha, without the axis of targets where there is one."""
        coef = np.array([[one.coef for one in path] for path in final]).astype(dtype, copy=False)
        intercept = np.array([[one.intercept for one in path] for path in final])
        single = len(final) == 1
        self.coef_path_ = coef[0] if single else coef.swapaxes(0, 1)
        self.intercept_path_ = intercept[0] if single else intercept.T

    def _folds(self, X: Any, labels: Any, weights: Vector | None, passed: dict[str, Any]) -> list[Fold]:
        """Return the folds; a splitter sees the rows that have weight only, so that others change nothing."""
        splitter = check_cv(self.cv, labels, classifier=self._classifies)
        pairs = not (self.cv is None or isinstance(self.cv, int | np.integer) or hasattr(self.cv, "split"))
        counted = None if weights is None or pairs else np.flatnonzero(weights)
        if counted is None or counted.size == len(labels):
            return list(splitter.split(X, labels, **passed))
        rows = {
            name: np.asarray(value)[counted] if np.shape(value)[:1] == (len(labels),) else value
            for name, value in passed.items()
        }
        parts = splitter.split(X[counted], np.asarray(labels)[counted], **rows)
        return [(counted[train], counted[test]) for train, test in parts]

    def _scores(
        self, found: list[Solutions], X: Any, y: Any, weights: Vector | None, extra: dict[str, Any]
    ) -> Vector:
        """Return the scorer's value for each alpha, shape (n_alphas,)."""
        model = copy.copy(self)
        scorer = check_scoring(self, scoring=self.scoring)
        if weights is not None and "sample_weight" not in extra:
            extra = {**extra, "sample_weight": weights}
        scores = []
        for i in range(len(found[0])):
            model._keep([target[i] for target in found], X.dtype)
            scores.append(float(scorer(model, X, y, **extra)))
        return np.array(scores)

    def _alphas(self, problems: Sequence[Any]) -> Vector:
        count = self.alphas if isinstance(self.alphas, int | np.integer) else None
        if self.alphas is None or count is not None:
            n_alphas = int(self.n_alphas if count is None else count)
            return self._grid(problems, n_alphas, float(self.alpha_min_ratio))
        alphas = np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))
        if alphas.size == 0 or not np.isfinite(alphas).all() or (alphas < 0).any():
            raise ValueError(
                "alphas must be how many to try, or finite numbers that are not negative; "
                f"got {self.alphas!r}."
            )
        return np.sort(alphas)[::-1].copy()

    def _grid(self, problems: Sequence[Any], n_alphas: int, ratio: float) -> Vector:
        """Return alphas from the least without features down to ``ratio`` times it."""
        try:
            largest = max(self._largest_alpha(problem) for problem in problems)
        except ValueError as reason:
            raise ValueError(str(reason).replace("name lam yourself", "give alphas yourself")) from None
        if largest <= np.finfo(np.float64).resolution:  # constant targets: every alpha gives zero
            return np.full(n_alphas, np.finfo(np.float64).resolution)
        return np.geomspace(largest, ratio * largest, n_alphas) if n_alphas > 1 else np.array([largest])

    def _largest_alpha(self, problem: Any) -> float:
        """Return the alpha from which on no single column improves the model without features."""
        alpha = 1.0
        # With a penalty that alpha multiplies the first round is exact; a function of alpha may need more.
        for _ in range(50):
            there = self._at(problem, alpha)
            share = lam_of_zero(there) / there.lam
            alpha *= share
            if alpha <= 0.0 or abs(share - 1.0) <= 1e-12:
                break
        return alpha


def _in_blocks(
    judge: Judge, found: list[Solutions], test: NDArray[np.intp], weights: Vector | None, n_alphas: int
) -> Vector:
    """Return the means over all held-out samples; predictors of a few at a time stay in the cache."""
    tables, shares = [], []
    for block in np.array_split(test, 1 + test.size * n_alphas // _BLOCK):
        part = None if weights is None else weights[block]
        tables.append(judge(found, block, part))
        shares.append(float(block.size if part is None else part.sum()))
    if len(tables) == 1 or not any(shares):
        return tables[0]
    kept = np.flatnonzero(shares)  # of samples without weight there is no mean
    mean: Vector = np.average(np.array(tables)[kept], axis=0, weights=np.array(shares)[kept])
    return mean


def path_predictor(X: Any, path: Solutions) -> Vector:
    """Return linear predictors, shape (n_samples, n_alphas), or (n_samples, n_alphas, k) of k responses."""
    coef, intercept = np.array([one.coef for one in path]), np.array([one.intercept for one in path])
    flat = linear_predictor(X, coef.reshape(-1, coef.shape[-1]), intercept.ravel())
    return flat.reshape(-1, *intercept.shape)


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


def warn_once(solutions: Sequence[Solution]) -> None:
    """Warn once of all runs that stopped before their tolerance, with the worst figures."""
    stopped = [one for one in solutions if not one.converged]
    if stopped:
        worst = max(stopped, key=lambda one: one.stationarity / one.tolerance if one.tolerance else np.inf)
        warnings.warn(
            f"{len(stopped)} of {len(solutions)} runs of the path and its folds stopped early; the worst: "
            f"{worst.message} {worst.status.advice} Or leave out small alphas (alpha_min_ratio).",
            ConvergenceWarning,
            stacklevel=4,
        )

"""What the estimators share: parameters, the statement of the problem, the call of the solver."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from concave_sparsity import Penalty
from convex_analysis import solution as solutions
from convex_analysis.estimators.alpha_problem import AlphaProblem
from convex_analysis.losses import Loss
from convex_analysis.losses.loss import Vector
from convex_analysis.majorize_minimize import majorize_minimize
from convex_analysis.parameters import (
    Flag,
    Function,
    Kind,
    Nothing,
    Number,
    Numbers,
    Rule,
    Word,
    check_parameters,
)
from convex_analysis.solution import Solution
from convex_analysis.solver_parameters import STARTS, STEPS, TOLERANCE

SHARED_RULES: dict[str, tuple[Rule, ...]] = {
    "penalty": (Word(), Kind((Penalty,), "a concave_sparsity.Penalty"), Function()),
    "penalty_parameters": (Kind((Mapping,), "a dict of the penalty's parameters"), Nothing()),
    "lower": (Numbers(),),
    "upper": (Numbers(),),
    "penalty_factor": (Numbers(), Nothing()),
    "fit_intercept": (Flag(),),
    "start": (Word(STARTS),),
    "tol": (TOLERANCE,),
    "max_iter": (STEPS,),
    "warm_start": (Flag(),),
}
ALPHA_RULE: dict[str, tuple[Rule, ...]] = {"alpha": (Number(low=0),)}
LOSS_RULE: dict[str, tuple[Rule, ...]] = {
    "loss": (Word(("linear", "huber")), Kind((Loss,), "a convex_analysis.losses.Loss"))
}


class ConcaveLinearModel(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: states a `RegressionProblem` and hands it to `majorize_minimize`."""

    _rules: ClassVar[Mapping[str, tuple[Rule, ...]]]

    def __sklearn_tags__(self) -> Any:
        """Add to scikit-learn's tags that X may be sparse."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self) -> None:
        check_parameters(type(self).__name__, self.get_params(deep=False), self._rules)

    def _problem(self, X: Any, y: Any, loss: str | Loss, alpha: float, sample_weight: Any) -> AlphaProblem:
        """State the problem at one alpha."""
        return AlphaProblem(
            X,
            y,
            self.penalty,
            self.penalty_parameters,
            alpha,
            loss=loss,
            lower=self.lower,
            upper=self.upper,
            penalty_factor=self.penalty_factor,
            sample_weight=sample_weight,
            fit_intercept=self.fit_intercept,
        )

    def _solve(self, problem: AlphaProblem, start: Vector | None) -> Solution:
        """Solve from a vector if there is one; a stop before the tolerance becomes scikit-learn's warning."""
        with quietly():
            found = majorize_minimize(
                problem, self.start if start is None else start, self.tol, self.max_iter
            )
        if not found.converged:
            warn_of(found)
        return found

    def _read_for_prediction(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse=("csr", "csc"), reset=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the solver's own warning of an early stop, in whose place an estimator gives scikit-learn's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", solutions.ConvergenceWarning)
        yield


def read_weights(sample_weight: Any, n_samples: int) -> Vector | None:
    """Return sample weights as an array; a single number stands for equal weights.

    What the weights must be beyond numbers (shape, sign, sum) the problem checks.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    return np.full(n_samples, weights) if weights.ndim == 0 else weights


def warn_of(found: Solution) -> None:
    """Warn, with the figures, of a run that stopped before its tolerance."""
    warnings.warn(
        f"{found.message} Increase max_iter or tol, or standardise the features.",
        ConvergenceWarning,
        stacklevel=4,
    )


def linear_predictor(X: Any, coef: Vector, intercept: Any) -> Vector:
    """Return ``X coef' + intercept`` as a dense array; X dense or sparse, coef of one or two dimensions."""
    predictor: Vector = np.asarray(X @ coef.T) + intercept
    return predictor

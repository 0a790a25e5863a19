"""What the estimators share: one description of their parameters, one statement, one fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from concave_sparsity import Penalty
from convex_analysis.estimators.penalties import (
    PenaltyLike,
    nested_parameters,
    penalty_at,
    problem_at,
    with_nested,
)
from convex_analysis.losses import Loss
from convex_analysis.losses.loss import Vector
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
from convex_analysis.problems import MultiResponseProblem, Problem, RegressionProblem
from convex_analysis.solution import ConvergenceWarning, Solution
from convex_analysis.solver.run import majorize_minimize
from convex_analysis.solver_parameters import STARTS, STEPS, TOLERANCE

SHARED_RULES: dict[str, tuple[Rule, ...]] = {
    "penalty": (Word(), Kind((Penalty,), "a concave_sparsity.Penalty"), Function()),
    "penalty_parameters": (Kind((Mapping,), "a dict of the penalty's parameters"), Nothing()),
    "l2": (Number(low=0),),
    "lower": (Numbers(),),
    "upper": (Numbers(),),
    "penalty_factor": (Numbers(), Nothing()),
    "fit_intercept": (Flag(),),
    "start": (Word(STARTS), Nothing()),
    "tol": (TOLERANCE,),
    "max_iter": (STEPS,),
    "warm_start": (Flag(),),
    "shared_support": (Flag(),),
    "multi_class": (Word(("multinomial", "ovr")),),
    "class_weight": (Word(("balanced",)), Kind((Mapping,), "a dict of weights by class"), Nothing()),
}
ALPHA_RULE: dict[str, tuple[Rule, ...]] = {"alpha": (Number(low=0),)}
LOSS_RULE: dict[str, tuple[Rule, ...]] = {
    "loss": (Word(("linear", "huber", "poisson", "gamma")), Kind((Loss,), "a convex_analysis.losses.Loss"))
}
_NESTED = "penalty__"


class Fitted(NamedTuple):
    """A solution with its coefficients, shape (n_features,) or (k, n_features), and its intercept(s)."""

    solution: Solution
    coef: Vector
    intercept: Any

    @classmethod
    def of(cls, problem: Problem, solution: Solution) -> Fitted:
        """Return a problem's solution in the shape that estimators show."""
        if isinstance(problem, MultiResponseProblem):
            return cls(solution, *problem.coefficients(solution.x))
        return cls(solution, solution.x, solution.intercept)


class _SparseName(str):
    """The name of an estimator whose zeros are exact.

    scikit-learn's `SelectFromModel` keeps every nonzero coefficient of models that it knows to be sparse,
    and it knows them by a word in the name of their class; of others it keeps what is above the mean.
    """

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return part == "Lasso" or (isinstance(part, str) and super().__contains__(part))


class ConcaveLinearModel(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: states a `RegressionProblem` and hands it to `majorize_minimize`."""

    _rules: ClassVar[Mapping[str, tuple[Rule, ...]]]
    penalty: PenaltyLike
    penalty_parameters: Mapping[str, Any] | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__name__ = _SparseName(cls.__name__)

    def __sklearn_tags__(self) -> Any:
        """Add to scikit-learn's tags that X may be sparse."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; with deep also the penalty's own (``penalty__eps`` and the like)."""
        given: dict[str, Any] = super().get_params(deep=False)
        if deep:
            own = nested_parameters(self.penalty, self.penalty_parameters)
            given |= {_NESTED + name: value for name, value in own.items()}
        return given

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``penalty__eps=0.1`` puts another penalty in the place of the frozen one.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        own = {name: params.pop(name) for name in [*params] if name.startswith(_NESTED)}
        super().set_params(**params)
        if own:
            changes = {name.removeprefix(_NESTED): value for name, value in own.items()}
            self.penalty, self.penalty_parameters = with_nested(
                self.penalty, self.penalty_parameters, changes
            )
        return self

    def _check_parameters(self) -> None:
        check_parameters(type(self).__name__, self.get_params(deep=False), self._rules)

    def _problem(self, X: Any, y: Any, loss: str | Loss, sample_weight: Any) -> Problem:
        """State the problem, without its penalty; several responses together."""
        penalty_at(self.penalty, self.penalty_parameters, 1.0)  # a wrong name is said before X is looked at
        parts = {
            "loss": loss,
            "lower": self.lower,
            "upper": self.upper,
            "penalty_factor": self.penalty_factor,
            "sample_weight": sample_weight,
            "fit_intercept": self.fit_intercept,
            "ridge": float(self.l2),
        }
        if (y.ndim == 2 and y.shape[1] > 1) or loss == "multinomial":
            return MultiResponseProblem(X, y, shared_support=bool(self.shared_support), **parts)
        return RegressionProblem(X, y.ravel(), **parts)

    def _at(self, problem: Any, alpha: float) -> Any:
        """Return a problem at an alpha."""
        return problem_at(problem, self.penalty, self.penalty_parameters, alpha)

    def _solve(self, problem: Any, start: Vector | None) -> Fitted:
        """Solve from coefficients if there are some; an early stop becomes an estimator's warning."""
        if start is not None and isinstance(problem, MultiResponseProblem):
            start = problem.point(start, np.asarray(self.intercept_, dtype=np.float64))
        elif start is not None:
            start = start.ravel()
        with quietly():
            found = majorize_minimize(
                problem, self.start if start is None else start, self.tol, self.max_iter
            )
        if not found.converged:
            message = f"{found.message} {found.status.advice}".strip()
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return Fitted.of(problem, found)

    def _last_coefficients(self, shape: tuple[int, ...]) -> Any:
        """Return the coefficients of the last fit where they are wanted and fit, else None."""
        last = getattr(self, "coef_", None) if self.warm_start else None
        return last.astype(np.float64) if last is not None and last.shape == shape else None

    def _read(self, X: Any, y: Any, **options: Any) -> tuple[Any, Any]:
        """Return X and y checked; X stays in single precision, sparse X becomes CSC."""
        found: tuple[Any, Any] = validate_data(
            self, X, y, accept_sparse="csc", dtype=(np.float64, np.float32), **options
        )
        return found

    def _read_for_prediction(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse=("csr", "csc"), reset=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the solver's own warning of an early stop, in whose place an estimator gives its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def read_weights(sample_weight: Any, n_samples: int) -> Vector | None:
    """Return sample weights as an array; a single number stands for equal weights.

    What the weights must be beyond numbers (shape, sign, sum) the problem checks.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    return np.full(n_samples, weights) if weights.ndim == 0 else weights


def linear_predictor(X: Any, coef: Vector, intercept: Any) -> Vector:
    """Return ``X coef' + intercept`` as a dense array; X dense or sparse, coef of one or two dimensions."""
    predictor: Vector = np.asarray(X @ coef.T) + intercept
    return predictor

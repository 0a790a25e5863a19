"""A regression problem whose lam is an estimator's alpha, also where the penalty has alpha in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from convex_analysis.estimators.penalties import PenaltyLike, penalty_at
from convex_analysis.problems import RegressionProblem
from convex_analysis.problems.validation import check_lam


class AlphaProblem(RegressionProblem):
    """A `RegressionProblem` that makes its penalty anew for each alpha; paths then work for every penalty.

    Parameters
    ----------
    X, y
        As in `RegressionProblem`.
    penalty, penalty_parameters
        As in `ConcaveRegressor`.
    alpha
        Strength; `with_lam` sets it anew.
    **settings
        Further arguments of `RegressionProblem`.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        penalty: PenaltyLike,
        penalty_parameters: Mapping[str, Any] | None,
        alpha: float,
        **settings: Any,
    ) -> None:
        self._family = penalty, dict(penalty_parameters or {})
        made, lam = penalty_at(*self._family, alpha)
        super().__init__(X, y, penalty=made, lam=lam, **settings)

    def with_lam(self, lam: float) -> Self:
        """Return the same problem at another alpha; X and everything computed from it is shared."""
        made, strength = penalty_at(*self._family, check_lam(lam))
        return super().with_penalty(made)._with_strength(strength)

    def _with_strength(self, lam: float) -> Self:
        return super().with_lam(lam)

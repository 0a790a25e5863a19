"""Information criteria that choose lam along a path."""

from __future__ import annotations

from math import lgamma, log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem
    from convex_analysis.solution import Solution


def deviance(problem: Problem, solution: Solution) -> float:
    """Return minus twice the log-likelihood up to a constant.

    ``n log(2 f)`` for the linear loss, with the variance of the noise estimated by ``2 f``, the
    weighted mean squared residual; ``2 n f`` for the other losses.
    """
    n = problem.n_samples
    fit = problem.data_fit(solution.x, solution.intercept)
    if problem.loss.quadratic:
        return n * log(max(2.0 * fit, float(np.finfo(np.float64).tiny)))
    return 2.0 * n * fit


def degrees_of_freedom(problem: Problem, solution: Solution) -> int:
    """Return the number of entries that are not zero, plus one for an intercept."""
    return int(np.count_nonzero(solution.x)) + int(problem.fit_intercept)


def bic(problem: Problem, solution: Solution) -> float:
    """Return the Bayesian information criterion (Schwarz 1978): deviance + log(n) df."""
    return deviance(problem, solution) + log(problem.n_samples) * degrees_of_freedom(problem, solution)


def ebic(problem: Problem, solution: Solution, gamma: float = 1.0) -> float:
    """Return the extended criterion of Chen and Chen (2008): BIC + 2 gamma log binomial(d, k).

    Parameters
    ----------
    problem, solution
        What was solved, and its solution of k entries that are not zero.
    gamma
        Weight of the number of models of that size, in [0, 1]; 0 gives BIC.
    """
    d, k = problem.n_features, int(np.count_nonzero(solution.x))
    log_models = lgamma(d + 1) - lgamma(k + 1) - lgamma(d - k + 1)
    return bic(problem, solution) + 2.0 * gamma * log_models


CRITERIA = {"bic": bic, "ebic": ebic}

"""Information criteria that choose lam along a path, safe where a model comes near to interpolating."""

from __future__ import annotations

from math import inf, lgamma, log
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses import Huber

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem
    from convex_analysis.solution import Solution

# A model with more parameters than this share of the samples says nothing of the noise that is left.
MOST_PARAMETERS = 0.5


def effective_samples(problem: Problem) -> int:
    """Return the number of samples that have weight: a row of weight zero is no row."""
    return int(np.count_nonzero(problem.sample_weight))


def deviance(problem: Problem, solution: Solution) -> float:
    """Return minus twice the log-likelihood up to a constant.

    With f the weighted mean loss (a ridge term is none): ``n log(2 f)`` for losses of a residual whose scale
    is not known (linear, Huber), with the variance of the noise estimated by ``2 f``, the weighted mean
    squared residual; ``2 n f`` for the other losses. Several responses share one variance.
    """
    n = effective_samples(problem)
    responses = problem.design.n_samples // problem.sample_weight.size
    fit = problem.fit.loss_value(problem.predictor(solution.x, solution.intercept))
    if problem.loss.quadratic or isinstance(problem.loss, Huber):
        size = n * responses
        return size * log(max(2.0 * fit / responses, float(np.finfo(np.float64).tiny)))
    return 2.0 * n * fit


def bic(problem: Problem, solution: Solution) -> float:
    """Return the Bayesian information criterion (Schwarz 1978), corrected for small samples.

    ``deviance + log(n) df n / (n - df - 1)``, the correction of McQuarrie (1999); inf for models with more
    than n/2 parameters. Without them the criterion falls without bound towards interpolation,
    where ``n log(RSS)`` does.
    """
    return _criterion(problem, solution, 0.0)


def ebic(problem: Problem, solution: Solution, gamma: float = 1.0) -> float:
    """Return the extended criterion of Chen and Chen (2008), corrected for small samples.

    ``deviance + (log(n) df + 2 gamma log binomial(d, min(k, d/2))) n / (n - df - 1)``, inf for models with
    more than n/2 parameters, as `bic`. The number of models of k entries is not let fall beyond k = d/2:
    the full model would pay nothing for having been chosen.

    Parameters
    ----------
    problem, solution
        What was solved, and its solution of k entries that are not zero.
    gamma
        Weight of the number of models of that size, in [0, 1]; 0 gives BIC.
    """
    return _criterion(problem, solution, gamma)


def _criterion(problem: Problem, solution: Solution, gamma: float) -> float:
    n, k, columns = effective_samples(problem), solution.support.size, problem.design.intercepts
    d, df = problem.n_features - columns, k + columns + int(problem.fit_intercept)
    if k and (df > MOST_PARAMETERS * n or n - df - 1 <= 0):
        return inf
    size = min(k, d // 2)
    log_models = lgamma(d + 1) - lgamma(size + 1) - lgamma(d - size + 1)
    cost = log(n) * df + 2.0 * gamma * log_models
    return deviance(problem, solution) + cost * n / max(n - df - 1, 1)


CRITERIA = {"bic": bic, "ebic": ebic}

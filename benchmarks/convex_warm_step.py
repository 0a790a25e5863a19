"""A warm reweighting step: new weights on the problem just solved, where only the weights have changed."""

from __future__ import annotations

import statistics
import time
from typing import Any

import convex_data as data
import numpy as np

from concave_sparsity import Log
from convex_analysis import ConvexStep, RegressionProblem


def warm_steps(quick: bool, repeats: int, steps: int = 6, gap: float = 1e-6) -> dict[str, Any]:
    """Median seconds of the lasso (cold) and of each reweighting step after it, over fresh states."""
    X, y = data.regression_data(200 if quick else 500, 1000 if quick else 5000)
    slope = 0.1 * float(np.abs(X.T @ y).max()) / y.size
    penalty = Log(0.1)
    cold: list[float] = []
    warm: list[list[float]] = [[] for _ in range(steps)]
    for turn in range(repeats + 1):
        problem = RegressionProblem(X, y, penalty=penalty, lam=slope / penalty.slope_at_zero)
        step = ConvexStep(problem)
        begun = time.perf_counter()
        solution = step.compute(np.full(problem.n_features, slope), gap=gap)
        seconds = time.perf_counter() - begun
        if turn:  # the first turn compiles
            cold.append(seconds)
        for k in range(steps):
            weights = problem.weights(solution.x)
            begun = time.perf_counter()
            solution = step.compute(weights, start=solution.x, gap=gap)
            seconds = time.perf_counter() - begun
            if turn:
                warm[k].append(seconds)
            if solution.gap > gap:
                raise RuntimeError(f"step {k + 1} ended with gap {solution.gap:.1e}, {gap:.1e} was asked")
    medians = [statistics.median(one) for one in warm]
    return {
        "title": f"warm reweighting step, log eps 0.1, {X.shape[0]} x {X.shape[1]}, gap {gap:g}",
        "cold_seconds": statistics.median(cold),
        "warm_seconds": medians,
        "median_warm_seconds": statistics.median(medians),
        "goal_seconds": 0.005,
    }

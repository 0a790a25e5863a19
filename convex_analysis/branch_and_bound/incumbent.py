"""The best point known, from majorize-minimize started at what the search comes upon."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis import steering
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import ConvergenceWarning
from convex_analysis.solver.run import majorize_minimize

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class Incumbent:
    """Best point so far of a problem, improved by local searches.

    Parameters
    ----------
    problem
        The problem.
    precision
        Decrease of the objective, in its units, below which a local search ends.

    Attributes
    ----------
    x, intercept, objective
        The point; objective inf before the first search.
    n_searches
        Number of local searches made.
    """

    def __init__(self, problem: Problem, precision: float = 1e-8) -> None:
        self.problem = problem
        self.precision = precision
        self.x: Vector = np.clip(np.zeros(problem.n_features), problem.lower, problem.upper)
        self.intercept = 0.0
        self.objective = np.inf
        self.n_searches = 0
        self._solver = ConvexStep(problem)
        self._tried: set[bytes] = set()
        width = problem.upper - problem.lower
        self._small = np.where(np.isfinite(width), 1e-3 * width, 0.0)

    def begin(self, deadline: float = np.inf) -> None:
        """Search thoroughly from the l1 solution and from the dense end of the box, while there is time."""
        for start in ("l1", "dense"):
            left = max(deadline - time.perf_counter(), 0.0)
            if self.n_searches and not left:
                break
            self.n_searches += 1
            limit = left if np.isfinite(left) else None
            with warnings.catch_warnings():
                # A local search need not converge: only its objective counts.
                warnings.simplefilter("ignore", ConvergenceWarning)
                solution = majorize_minimize(
                    self.problem, start, tol=steering.LOCAL_TOLERANCE, max_iter=200, time_limit=limit
                )
            self.offer(solution.x, solution.intercept)

    def search(self, start: Vector) -> bool:
        """Take a point of the box and descend from it by convex steps (T7); say whether that was better.

        A point whose support was a start before is only taken as it is: the local minimum would
        most often be the same.
        """
        intercept = self._intercept(start)
        better = self.offer(start, intercept)
        pattern = np.packbits(np.abs(start) > self._small).tobytes()
        if pattern in self._tried:
            return better
        self._tried.add(pattern)
        self.n_searches += 1
        x, value = start, self.problem.objective(start, intercept)
        for _ in range(steering.LOCAL_STEPS):
            step = self._solver.compute(
                self.problem.weights(x), start=x, intercept=intercept, gap=self.precision
            )
            new = self.problem.objective(step.x, step.intercept)
            if new < value:
                better = self.offer(step.x, step.intercept) or better
            if not new < value - self.precision:
                break
            x, intercept, value = step.x, step.intercept, new
        return better

    def _intercept(self, x: Vector) -> float:
        return self.problem.best_intercept(x)

    def offer(self, x: Vector, intercept: float) -> bool:
        """Take a point of the box as it is where it is better; say whether it was."""
        objective = self.problem.objective(x, intercept)
        if not objective < self.objective:
            return False
        self.x, self.intercept, self.objective = x.copy(), intercept, objective
        return True

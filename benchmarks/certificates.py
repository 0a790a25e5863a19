"""How often T1 and T20 certify a solution as a global minimiser, on signed regressions.

``python benchmarks/certificates.py`` prints the counts; they stand in docs/theory.md (T20).
"""

from __future__ import annotations

import time
import warnings

import numpy as np

from concave_sparsity import L1, MCP, Log
from convex_analysis import RegressionProblem, majorize_minimize
from convex_analysis.separable_bound import separable_bound
from convex_analysis.theorems import T1

DRAWS = 40
GAP = 1e-6


def problem(seed: int, penalty: object, n: int = 40, d: int = 12) -> RegressionProblem:
    """Return a regression with three signed coefficients and noise of 0.3."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    sizes = rng.choice([-1.0, 1.0], d) * rng.uniform(0.5, 2.0, d)
    y = X @ np.where(np.arange(d) < 3, sizes, 0.0) + 0.3 * rng.standard_normal(n)
    return RegressionProblem(X, y, penalty=penalty, lam=0.05)


def main() -> None:
    """Print for each penalty how many of the solutions each bound certifies."""
    print(f"solutions certified to {GAP:g}, of {DRAWS} draws each (n = 40, d = 12)")
    print(f"{'penalty':<14}{'T1':>6}{'T20':>6}{'T20, ms':>10}")
    for penalty in (Log(0.1), MCP(2.0), L1()):
        envelope = separable = 0
        seconds = []
        for seed in range(DRAWS):
            given = problem(seed, penalty)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                solution = majorize_minimize(given)
            envelope += T1.check(given, None, solution).bound < GAP
            begun = time.perf_counter()
            separable += separable_bound(given, solution.x, solution.intercept).gap < GAP
            seconds.append(time.perf_counter() - begun)
        print(f"{penalty!r:<14}{envelope:>6}{separable:>6}{1e3 * float(np.median(seconds)):>10.1f}")


if __name__ == "__main__":
    main()

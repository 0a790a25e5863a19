"""Allowances for rounding: as large as what exact arithmetic finds, and no larger than they must be."""

from fractions import Fraction

import numpy as np
import pytest

from concave_sparsity import L1
from convex_analysis import MaskProblem
from convex_analysis.constants.rounding import Rounding


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_exact_objective_and_gradient_lie_within(seed, scale):
    rng = np.random.default_rng(seed)
    n, d = 12, 4
    X, x = scale * rng.standard_normal((n, d)), rng.uniform(0, 1, d)
    y = X @ x + 1e-9 * scale * rng.standard_normal(n)  # a tiny residual: the worst for rounding
    problem = MaskProblem(X, y, penalty=L1(), lam=0.0)
    exact = [sum(Fraction(a) * Fraction(b) for a, b in zip(row, x)) - Fraction(v) for row, v in zip(X, y)]
    objective = sum(r * r for r in exact) / (2 * n)
    gradient = [sum(Fraction(X[i, j]) * exact[i] for i in range(n)) / n for j in range(d)]
    allowance = Rounding(problem)
    assert abs(Fraction(problem.objective(x)) - objective) <= allowance.of_objective(x, 0.0)
    off = np.array([abs(float(Fraction(g) - e)) for g, e in zip(problem.gradient(x), gradient)])
    assert (off <= allowance.of_gradient(x, 0.0)).all()
    assert allowance.of_gradient(x, 0.0).max() < 1e-10 * scale**2
    assert allowance.of_objective(x, 0.0) < 1e-12 * scale**2

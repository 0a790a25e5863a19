"""T21: an l1 solution at a vertex has few fractional entries, so its gap is known in advance."""

from __future__ import annotations

import numpy as np

from convex_analysis.constants.curvature import Matrix
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict

LIMIT = 300
"""Features up to which the theorem walks to a vertex, one null vector a step."""
# Singular values below this share of the largest count as zero: more null vectors, fewer fractions.
_RANK = 1e-9


class FewFractions(Theorem):
    """T21 A gap known in advance."""

    name = "T21"
    title = "A gap known in advance"
    statement = (
        "Some l1 solution has at most rank(A) entries strictly between 0 and 1, so its objective exceeds the "
        "global minimum by at most lam rank(A) max(r(t) - t), however many features there are."
    )
    quantity = "F(m1) - D, m1 an l1 solution at a vertex, D a dual value"
    formula = "lam rank(A) max over t of (r(t) - t)"
    needs_target = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        hypotheses.require(
            Hypothesis.at_most("number of features", problem.n_features, LIMIT),
            Hypothesis.above("lam", case.lam, 0.0),
            Hypothesis.true("a problem without ridge", problem.ridge is None),
        )
        design = case.design
        singular = np.linalg.svd(design, compute_uv=False)
        rank = int(np.count_nonzero(singular > _RANK * singular[0])) if singular.size and singular[0] else 0
        l1 = ConvexStep(problem).compute(np.full(problem.n_features, case.lam))
        vertex = to_vertex(design, l1.x)
        fractions = int(np.count_nonzero((vertex > 0.0) & (vertex < 1.0)))
        largest = largest_gain(case)
        rounding = case.rounding_of_objective(vertex, l1.intercept)
        # The walk keeps A m up to the rank tolerance, and the sum of m up to the gap of the solver.
        straight = problem.data_fit(vertex, l1.intercept) + case.lam * float(vertex.sum())
        walk = max(0.0, straight - l1.value)
        value = problem.objective(vertex, l1.intercept)
        bound = case.lam * min(rank, problem.n_features) * largest
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=value - l1.dual,
            tolerance=max(l1.gap, 0.0) + walk + 4.0 * rounding,
            conclusion=bool(
                value - l1.dual <= bound + max(l1.gap, 0.0) + walk + 4.0 * rounding and fractions <= rank
            ),
            quantities={
                "rank of A": float(rank),
                "fractional entries of m1": float(fractions),
                "max over t of r(t) - t": largest,
                "bound with the fractions found": case.lam * fractions * largest,
                "what the walk to the vertex cost": walk,
            },
        )


def largest_gain(case: Case) -> float:
    """Return an upper bound of ``max r(t) - t``: on a cell r is at most its value at the far end."""
    nodes = np.unique(np.concatenate([np.geomspace(1e-9, 1e-2, 2000), np.linspace(0.0, 1.0, 20001)]))
    values = case.penalty.value(nodes)
    return max(0.0, float((values[1:] - nodes[:-1]).max()))


def to_vertex(design: Matrix, x: Vector) -> Vector:
    """Return a point of the box with the same ``A x`` whose fractional columns are independent.

    Along a null vector of the fractional columns neither ``A x`` nor, for an l1 minimiser, the sum of x
    changes; each step ends when an entry becomes 0 or 1.

    Parameters
    ----------
    design
        A, shape (n_samples, n_features).
    x
        Point of [0, 1]^d, shape (n_features,).
    """
    x = np.where(x < 1e-12, 0.0, np.where(x > 1.0 - 1e-12, 1.0, x))
    scale = float(np.linalg.norm(design, 2)) if design.size else 0.0
    while True:
        free = np.flatnonzero((x > 0.0) & (x < 1.0))
        if not free.size:
            return x
        _, singular, rows = np.linalg.svd(design[:, free])
        rank = int(np.count_nonzero(singular > _RANK * scale))
        if rank >= free.size:
            return x
        direction = rows[-1]
        if direction.sum() > 0:  # rather smaller than larger, should the sum change after all
            direction = -direction
        with np.errstate(divide="ignore"):
            reach = np.where(direction > 0, (1.0 - x[free]) / direction, np.inf)
            reach = np.where(direction < 0, -x[free] / direction, reach)
        first = int(np.argmin(reach))
        x[free] = np.clip(x[free] + reach[first] * direction, 0.0, 1.0)
        x[free[first]] = 1.0 if direction[first] > 0 else 0.0

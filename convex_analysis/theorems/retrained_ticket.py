"""T17: what the effective penalty of mask and weight decay says about the rewound, retrained ticket."""

from __future__ import annotations

import numpy as np

from convex_analysis.constants.curvature import Matrix
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class RetrainedTicket(Theorem):
    """T17 The rewound, retrained ticket.

    ``problem`` supplies data, loss, penalty and lam; its theta is not used: the weights are those
    trained together with the mask, ``L(b)`` is the data fit of X b.
    """

    name = "T17"
    title = "The rewound, retrained ticket"
    statement = (
        "At a local minimum of mask and decayed weights every mask entry is 0, 1 or at least sqrt(alpha / "
        "(3 L)), whatever lam; with a convex loss the retrained ticket does not depend on the rewind point,"
        " and lies within ||b (m^-2 - 1)|| of the searched one."
    )
    quantity = "largest of (gap bound / mask entry) and (retraining distance / its bound)"
    formula = "1"
    needs_target = False
    needs_unit_box = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        alpha, problem = float(case.weight_decay or 0.0), case.problem
        hypotheses.require(
            Hypothesis.given("mask trained with the weights", case.mask),
            Hypothesis.given("trained weights", case.weights),
            Hypothesis.given("weight decay", case.weight_decay),
            Hypothesis.above("weight decay", alpha, 0.0),
            Hypothesis.above("lam", problem.lam, 0.0),
            Hypothesis.true("a problem without intercept", not problem.fit_intercept),
        )
        m, theta = np.asarray(case.mask, dtype=np.float64), np.asarray(case.weights, dtype=np.float64)
        b = m * theta
        X = _data(case)
        z = X @ b
        slope = X.T @ (problem.row_weights * problem.loss.derivative(z, problem.y))
        r_slope = case.lam * case.penalty.slope(m)
        violation_mask, violation_weights = _violations(m, theta, slope, r_slope, alpha)
        violation = float(max(violation_mask.max(initial=0.0), violation_weights.max(initial=0.0)))
        scale = float(np.abs(X.T @ (problem.row_weights * problem.loss.derivative(0.0 * z, problem.y))).max())
        hypotheses.append(Hypothesis.at_most("first-order violation at (m, theta)", violation, 1e-6 * scale))
        lowest = _lowest_curvature(case, X, z, m, theta, slope, alpha)
        hypotheses.append(
            Hypothesis.at_least("least second derivative in the free directions", lowest, -1e-6 * scale)
        )
        curvature = problem.loss.smoothness * np.einsum("i,ij,ij->j", problem.row_weights, X, X)
        inside = (m > 0.0) & (m < 1.0)
        with np.errstate(divide="ignore"):
            least = np.sqrt(alpha / (3.0 * curvature))
        gap_ratio = float((least[inside] / m[inside]).max(initial=0.0))
        distance, allowed, spare = self._retraining(case, X, b, m, alpha, violation_weights)
        ratio = distance / allowed if allowed > 0 else (0.0 if distance <= spare else np.inf)
        return self._verdict(
            hypotheses,
            bound=1.0,
            measured=max(gap_ratio, ratio),
            # A violation eps of the first-order conditions moves both by about eps / alpha.
            tolerance=1e-4 + (spare / allowed if allowed > 0 else 0.0),
            conclusion=bool(gap_ratio <= 1.0 + 1e-4 and distance <= allowed + spare),
            quantities={
                "least mask entry above zero": float(m[m > 0].min(initial=np.inf)),
                "entries strictly between 0 and 1": float(inside.sum()),
                "cut that removes only zeros, sqrt(alpha / (3 max L))": float(least.min(initial=np.inf)),
                "||retrained - searched||": distance,
                "its bound ||b (m^-2 - 1)||": allowed,
            },
        )

    @staticmethod
    def _retraining(
        case: Case, X: Matrix, b: Vector, m: Vector, alpha: float, violation: Vector
    ) -> tuple[float, float, float]:
        """Return the distance from searched to retrained weights, its bound, and what residuals add."""
        kept = np.flatnonzero(m > 0)
        allowed = float(np.linalg.norm(b[kept] * (m[kept] ** -2.0 - 1.0)))
        spare = float(np.linalg.norm(violation[kept] / m[kept])) / alpha + 1e-9 * (
            1.0 + float(np.linalg.norm(b))
        )
        retrained = retrain(case, X[:, kept], alpha)
        return float(np.linalg.norm(retrained - b[kept])), allowed, spare


def retrain(case: Case, X: Matrix, alpha: float) -> Vector:
    """Return the minimiser of ``L(b) + alpha/2 ||b||^2`` over the columns given, by damped Newton steps."""
    problem = case.problem
    b = np.zeros(X.shape[1])

    def objective(b: Vector) -> float:
        return float(problem.row_weights @ problem.loss.value(X @ b, problem.y)) + 0.5 * alpha * float(b @ b)

    for _ in range(100):
        z = X @ b
        gradient = X.T @ (problem.row_weights * problem.loss.derivative(z, problem.y)) + alpha * b
        rows = problem.row_weights * problem.loss.curvature(z, problem.y)
        # Least squares: a decay that is lost beside the data's scale leaves a singular matrix.
        step = np.linalg.lstsq(X.T @ (rows[:, None] * X) + alpha * np.eye(b.size), -gradient)[0]
        share, value = 1.0, objective(b)
        level = value + 1e-14 * abs(value)  # a rise by rounding must not cut the last steps short
        while objective(b + share * step) > level and share > 1e-12:
            share *= 0.5
        b = b + share * step
        if float(np.linalg.norm(share * step)) <= 1e-14 * (1.0 + float(np.linalg.norm(b))):
            break
    return b


def _data(case: Case) -> Matrix:
    X = case.problem.X
    return np.asarray(X.toarray() if case.problem.design.sparse else X, dtype=np.float64)


def _violations(
    m: Vector, theta: Vector, slope: Vector, r_slope: Vector, alpha: float
) -> tuple[Vector, Vector]:
    """Return the first-order violations of the joint objective in m and in theta."""
    with np.errstate(invalid="ignore"):
        in_mask = slope * theta + r_slope
    right = np.where(m < 1.0, -in_mask, 0.0)
    left = np.where(m > 0.0, in_mask, 0.0)
    return np.maximum(np.maximum(right, left), 0.0), np.abs(slope * m + alpha * theta)


def _lowest_curvature(
    case: Case, X: Matrix, z: Vector, m: Vector, theta: Vector, slope: Vector, alpha: float
) -> float:
    """Return the Hessian's smallest eigenvalue in the mask entries inside (0, 1) and the weights kept."""
    inside, kept = np.flatnonzero((m > 0) & (m < 1)), np.flatnonzero(m > 0)
    if kept.size == 0:
        return alpha
    problem = case.problem
    rows = problem.row_weights * problem.loss.second_derivative(z, problem.y)
    J = np.hstack([X[:, inside] * theta[inside], X[:, kept] * m[kept]])
    hessian = J.T @ (rows[:, None] * J)
    step = 1e-5
    bend = (
        case.penalty.slope(m[inside] + step) - case.penalty.slope(np.maximum(m[inside] - step, 1e-12))
    ) / (2 * step)
    hessian[np.arange(inside.size), np.arange(inside.size)] += case.lam * bend
    place = {int(j): inside.size + i for i, j in enumerate(kept)}
    for i, j in enumerate(inside):
        hessian[i, place[int(j)]] += slope[j]
        hessian[place[int(j)], i] += slope[j]
    diagonal = np.arange(inside.size, inside.size + kept.size)
    hessian[diagonal, diagonal] += alpha
    return float(np.linalg.eigvalsh(hessian)[0])

"""What the solvers return: the point, its certificates and how the run ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning

from convex_analysis.certificate import Certificate
from convex_analysis.losses.loss import Vector
from convex_analysis.solver.stop import Status as Status


class ConvergenceWarning(SklearnConvergenceWarning):  # type: ignore[misc]
    """A solver stopped before the tolerance asked; the message gives both figures."""


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """A point found by `majorize_minimize`, `solve` or `path`, with its certificates.

    Attributes
    ----------
    x
        The point, shape (n_features,), inside the box to the last bit.
    intercept
        The intercept, 0.0 unless the problem fits one.
    objective
        Data fit plus penalty at the point.
    objectives
        Objective at the start and after each step, shape (n_iter + 1,); never increasing, beyond its
        rounding (1e-14 of it).
    stationarity
        First-order violation at the point (`Problem.stationarity`), in units of the gradient.
    tolerance
        The stationarity asked for: ``tol`` times the largest gradient at the point of the box nearest
        to zero, or the rounding of the gradient if that is larger. Where columns of very different
        length were brought to one (`Problem.normalised`), the figure for the coordinate of the
        largest violation.
    status, message
        How the run ended, as a `Status` and as a sentence with the figures.
    n_iter
        Number of majorize-minimize steps.
    seconds
        Wall-clock time.
    lam
        Strength of the penalty in the problem solved.
    certificate
        Computes `gap` and `suboptimality_bound` when they are read.
    intercepts
        How many of the last entries of x are intercepts: those of a `MultiResponseProblem`.
    """

    x: Vector
    intercept: float
    objective: float
    objectives: Vector = field(repr=False)
    stationarity: float
    tolerance: float
    status: Status
    message: str
    n_iter: int
    seconds: float
    lam: float
    certificate: Certificate = field(repr=False)
    intercepts: int = 0

    @property
    def gap(self) -> float:
        """Duality gap of the last convex step: how far the last majorizer is from its minimum at most."""
        return self.certificate.gap

    @property
    def suboptimality_bound(self) -> float:
        """Upper bound of ``objective - global minimum``, inf or the objective itself where nothing is known.

        The better of T1 and T20. T1: the minimum of the penalty's convex envelope on the box is bounded from
        below by a dual value. Where a coordinate without bound has a penalty that grows slower than every
        line, that envelope is zero there, and the losses alone count. T20, for dense X of at least as many
        samples as features and up to two million entries: a lower bound around the point itself, which often
        certifies it to rounding.
        """
        return self.certificate.suboptimality_bound

    @property
    def support(self) -> NDArray[np.intp]:
        """Indices of the coefficients that are not zero."""
        return np.flatnonzero(self.x[: self.x.size - self.intercepts])

    @property
    def converged(self) -> bool:
        """Whether the stationarity asked for was reached."""
        return self.status is Status.CONVERGED

    def __repr__(self) -> str:
        shown = ", ".join(f"{j}: {self.x[j]:.4g}" for j in self.support[:5])
        more = f", ... {self.support.size - 5} more" if self.support.size > 5 else ""
        size = self.x.size - self.intercepts
        return (
            f"Solution({self.status.name}, objective {self.objective:.6g}, lam {self.lam:.4g}, support "
            f"{self.support.size} of {size} {{{shown}{more}}}, intercept {self.intercept:.4g}, "
            f"stationarity {self.stationarity:.3g}, {self.n_iter} steps)"
        )

"""The problem that a command line states: data files, loss, penalty, lam and box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from concave_sparsity import Penalty
    from convex_analysis.losses.loss import Vector
    from convex_analysis.problems import Problem

PATH_TOLERANCE = 1e-6  # of the path on which lam is chosen; the final run has the tolerance asked
PENALTY_PARAMETERS = ("eps", "gamma", "q", "smoothing", "a", "knee", "cap")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Statement:
    """Data and model.

    Attributes
    ----------
    x
        Data: CSV (columns are features), npy, npz (key X, or file.npz:key), or a sparse matrix of scipy's.
    y
        Targets or labels: a file, or the name of a column of the CSV file x.
    loss
        linear, logistic (labels -1 and 1, or 0 and 1) or huber.
    penalty
        l1, log, lq, mcp, scad, capped-l1, exponential, arctan or fraction.
    eps
        Parameter of log, exponential, arctan and fraction.
    gamma
        Parameter of mcp.
    q
        Parameter of lq, the exponent.
    smoothing
        Parameter of lq, makes its slope at zero finite.
    a
        Parameter of scad.
    knee
        Parameter of scad.
    cap
        Parameter of capped-l1.
    lam
        Strength of the penalty; auto chooses it on a path by the extended Bayesian information criterion.
    theta
        Fixed weights that the mask multiplies: a file; ones by default (mask only).
    lower
        Lower bound of each coefficient; by default 0 for a mask, none for regression.
    upper
        Upper bound of each coefficient; by default 1 for a mask, none for regression.
    fit_intercept
        Fit an intercept, neither penalised nor bounded.
    """

    x: Annotated[str, Parameter(name=["--x", "-x"])]
    y: Annotated[str, Parameter(name=["--y", "-y"])]
    loss: Literal["linear", "logistic", "huber"] = "linear"
    penalty: str = "log"
    eps: float | None = None
    gamma: float | None = None
    q: float | None = None
    smoothing: float | None = None
    a: float | None = None
    knee: float | None = None
    cap: float | None = None
    lam: str = "auto"
    theta: str | None = None
    lower: float | None = None
    upper: float | None = None
    fit_intercept: bool = False

    def penalty_object(self) -> Penalty:
        """Return the penalty with the parameters given.

        Raises
        ------
        ValueError, TypeError
            If the name is unknown, or a parameter is wrong or none of this penalty's.
        """
        from concave_sparsity import penalty_from_name

        given = {name: getattr(self, name) for name in PENALTY_PARAMETERS if getattr(self, name) is not None}
        return penalty_from_name(self.penalty, **given)

    def fixed_lam(self) -> float | None:
        """Return lam as a number, None for auto.

        Raises
        ------
        ValueError
            If it is neither.
        """
        if self.lam == "auto":
            return None
        try:
            return float(self.lam)
        except ValueError:
            raise ValueError(f"--lam must be a number or auto, got {self.lam!r}.") from None

    def settled(self, problem: Problem) -> tuple[Problem, str, Vector | None]:
        """Return the problem at the lam given, or at the one chosen on a path.

        Returns
        -------
        problem
            The problem at its lam.
        chosen
            How lam was chosen, "" where it was given.
        start
            The path's solution at that lam, None where it was given.
        """
        if self.fixed_lam() is not None:
            return problem, "", None
        import warnings

        from convex_analysis.path import path
        from convex_analysis.solution import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the report tells how the last run ended
            along = path(problem, tol=PATH_TOLERANCE)
        best = along.best("ebic")
        chosen = f"by EBIC among {len(along)} values from {along.lams[0]:.4g} to {along.lams[-1]:.4g}"
        return problem.with_lam(best.lam), chosen, best.x

    def problem(self, kind: str) -> tuple[Problem, list[str]]:
        """Read the data and state the problem; lam is 0 if it is still to be chosen.

        Parameters
        ----------
        kind
            "mask" (coefficients in [0, 1] that multiply theta) or "regression" (signed coefficients).

        Returns
        -------
        problem
            A `MaskProblem` or `RegressionProblem`.
        names
            Names of the features.
        """
        import numpy as np

        from convex_analysis.commands.data_files import read_data, read_vector
        from convex_analysis.problems import MaskProblem, RegressionProblem

        X, y, names = read_data(self.x, self.y)
        common: dict[str, Any] = {
            "loss": self.loss,
            "penalty": self.penalty_object(),
            "lam": self.fixed_lam() or 0.0,
            "fit_intercept": self.fit_intercept,
        }
        if kind == "mask":
            common["lower"] = 0.0 if self.lower is None else self.lower
            common["upper"] = 1.0 if self.upper is None else self.upper
            theta = None if self.theta is None else read_vector(self.theta, ("theta",))
            return MaskProblem(X, y, theta, **common), names
        if self.theta is not None:
            raise ValueError("--theta is the weights that a mask multiplies: use --problem mask.")
        common["lower"] = -np.inf if self.lower is None else self.lower
        common["upper"] = np.inf if self.upper is None else self.upper
        return RegressionProblem(X, y, **common), names

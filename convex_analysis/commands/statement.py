"""The problem that a command line states: data files, loss, penalty, lam and box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from concave_sparsity import Penalty
    from concave_sparsity.stages import Stage
    from convex_analysis.commands.standard_units import StandardUnits
    from convex_analysis.losses.loss import Vector
    from convex_analysis.problems import Problem
    from convex_analysis.solution import Solution

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
        linear, huber, logistic or squared-hinge (two labels), poisson (counts) or gamma (positive
        quantities); the theorems of certify do not know the last two.
    penalty
        l1, log, lq, mcp, scad, capped-l1, exponential, arctan or fraction; with parameters also as
        "log(0.1)"; or package.module:NAME of a penalty of your own, or of a function that returns one.
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
        Strength of the penalty; auto chooses it on a path.
    choice
        What auto chooses by: ebic (few false features, also of pure noise), bic, cv (five folds; best
        predictions, more features), or one-standard-error (of these folds, fewer features).
    problem
        regression (signed coefficients) or mask (in [0, 1], multiplies fixed weights); by default a mask
        where theta, a target, an estimate or a weight decay is given, else regression.
    theta
        Fixed weights that the mask multiplies: a file; ones by default (mask only).
    lower
        Lower bound of each coefficient; by default 0 for a mask, none for regression.
    upper
        Upper bound of each coefficient; by default 1 for a mask, none for regression.
    fit_intercept
        Fit an intercept, neither penalised nor bounded; by default in regression, not for a mask.
    ridge
        Strength of ridge/2 times the sum of squared coefficients, beside the penalty (elastic net).
    offset
        Known part of the linear predictor, such as the logarithm of the exposure: a file, or the name of a
        column of the CSV file x.
    standardize
        Bring every feature to standard deviation one before it is penalised (regression only);
        coefficients are reported in the features' own units.
    drop
        A column of the CSV file x to leave out, such as an identifier; may be given several times.
    """

    x: Annotated[str, Parameter(name=["--x", "-x"])]
    y: Annotated[str, Parameter(name=["--y", "-y"])]
    loss: Literal["linear", "logistic", "huber", "poisson", "gamma", "squared-hinge"] = "linear"
    penalty: str = "log"
    eps: float | None = None
    gamma: float | None = None
    q: float | None = None
    smoothing: float | None = None
    a: float | None = None
    knee: float | None = None
    cap: float | None = None
    lam: str = "auto"
    choice: Literal["ebic", "bic", "cv", "one-standard-error"] = "ebic"
    problem: Literal["regression", "mask"] | None = None
    theta: str | None = None
    lower: float | None = None
    upper: float | None = None
    fit_intercept: bool | None = None
    ridge: float = 0.0
    offset: str | None = None
    standardize: bool = False
    drop: tuple[str, ...] = ()

    def penalty_object(self) -> Penalty:
        """Return the penalty with the parameters given.

        Raises
        ------
        ValueError, TypeError
            If the name is unknown, or a parameter is wrong or none of this penalty's.
        """
        from concave_sparsity.penalty_text import parse_penalty

        given = {name: getattr(self, name) for name in PENALTY_PARAMETERS if getattr(self, name) is not None}
        return parse_penalty(self.penalty, **given)

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

    def settled(self, problem: Problem, now: Stage) -> tuple[Problem, str, Vector | None]:
        """Return the problem at the lam given, or at the one chosen on a path.

        Parameters
        ----------
        problem
            The problem.
        now
            The stage of the command, told how far the path is.

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
        from convex_analysis.commands.choice import choose

        found = choose(problem, self.choice, now, tol=PATH_TOLERANCE)
        return problem.with_lam(found.best.lam), str(found), found.best.x

    def stated(self, wants_mask: bool = False) -> Stated:
        """Read the data and state the problem; lam is 0 if it is still to be chosen.

        Parameters
        ----------
        wants_mask
            Whether the command was given something that only a mask has.
        """
        import numpy as np

        from convex_analysis.commands.data_files import read_data, read_labels, read_vector
        from convex_analysis.commands.standard_units import StandardUnits
        from convex_analysis.problems import MaskProblem, RegressionProblem

        kind = self.problem or ("mask" if wants_mask or self.theta is not None else "regression")
        X, y, names, offset = read_data(self.x, self.y, self.drop, self.offset)
        y, labels = read_labels(y, self.loss, self.y)
        fit_intercept = kind == "regression" if self.fit_intercept is None else self.fit_intercept
        common: dict[str, Any] = {
            "loss": self.loss,
            "penalty": self.penalty_object(),
            "lam": self.fixed_lam() or 0.0,
            "fit_intercept": fit_intercept,
            "ridge": self.ridge,
            "offset": offset,
        }
        if kind == "mask":
            if self.standardize:
                raise ValueError("--standardize rescales features, which the weights of a mask do not allow.")
            common["lower"] = 0.0 if self.lower is None else self.lower
            common["upper"] = 1.0 if self.upper is None else self.upper
            theta = None if self.theta is None else read_vector(self.theta, ("theta",))
            return Stated(MaskProblem(X, y, theta, **common), names, labels, None)
        if self.theta is not None:
            raise ValueError("--theta is the weights that a mask multiplies: use --problem mask.")
        lower: Any = -np.inf if self.lower is None else self.lower
        upper: Any = np.inf if self.upper is None else self.upper
        units = StandardUnits.of(X, fit_intercept) if self.standardize else None
        if units is not None:
            X, lower, upper = units.scaled(X), lower * units.deviation, upper * units.deviation
        return Stated(RegressionProblem(X, y, lower=lower, upper=upper, **common), names, labels, units)


@dataclass(frozen=True)
class Stated:
    """A problem as a command line states it.

    Attributes
    ----------
    problem
        A `MaskProblem` or `RegressionProblem`.
    names
        Names of the features.
    labels
        What labels were coded as, in words; "" where they were numbers that the loss takes.
    units
        The units of the features, where they were standardised.
    """

    problem: Problem
    names: list[str]
    labels: str
    units: StandardUnits | None

    @property
    def sentence(self) -> str:
        """What is fitted, in a sentence."""
        from convex_analysis.problems import MaskProblem

        problem = self.problem
        mask = isinstance(problem, MaskProblem)
        what = "a mask over fixed weights" if mask else "signed regression coefficients"
        within = "with" if problem.fit_intercept else "without"
        standard = ", features standardised" if self.units is not None else ""
        other = "" if mask else " (--problem mask fits a mask in [0, 1])"
        return (
            f"Fitted {what} to {problem.n_samples} samples of {problem.n_features} features by the "
            f"{problem.loss.name} loss, {within} an intercept{standard}{other}."
        )

    def in_own_units(self, found: Solution) -> tuple[Vector, float]:
        """Return the coefficients and the intercept in the features' own units."""
        if self.units is None:
            return found.x, found.intercept
        return self.units.back(found.x, found.intercept)

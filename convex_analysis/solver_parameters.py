"""What the solvers take beside a problem, and its checks."""

from __future__ import annotations

from typing import Any

from convex_analysis.parameters import Flag, Function, Nothing, Number, Rule, Vector, Word, check_parameters
from convex_analysis.problems import Problem

STARTS = ("l1", "zero", "dense", "multi")

TOLERANCE = Number(low=0, above=True)
STEPS = Number(low=1, integer=True)

SOLVER_RULES: dict[str, tuple[Rule, ...]] = {
    "start": (Word(STARTS), Vector(), Nothing()),
    "tol": (TOLERANCE,),
    "max_iter": (STEPS,),
    "refine": (Flag(),),
    "callback": (Function(), Nothing()),
    "time_limit": (Number(low=0), Nothing()),
    "lams": (Vector(), Nothing()),
    "n_lams": (Number(low=1, integer=True),),
    "smallest": (Number(low=0, high=1, above=True), Nothing()),
    "folds": (Number(low=2, integer=True),),
    "seed": (Number(low=0, integer=True),),
    "n_jobs": (Number(integer=True), Nothing()),
    "progress": (Function(), Nothing()),
}


def check_solver_parameters(solver: str, problem: Any, **values: Any) -> None:
    """Check a problem and the parameters of `majorize_minimize`, `path` or `cross_validate`.

    Parameters
    ----------
    solver
        Name of the function, for the message.
    problem
        What should be a `Problem`.
    **values
        Parameters by name.

    Raises
    ------
    TypeError
        If a value is of a wrong type.
    ValueError
        If it is of the right type, but not allowed.
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"{solver} solves a MaskProblem or a RegressionProblem; got {type(problem).__name__}: "
            "state one first, for instance RegressionProblem(X, y)."
        )
    check_parameters(solver, values, SOLVER_RULES)

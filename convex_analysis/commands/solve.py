"""Solve a concave-penalised problem and report the solution with its certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convex_analysis.commands.statement import Statement


def solve(
    statement: Statement,
    *,
    start: Literal["l1", "zero", "dense", "multi"] | None = None,
    tol: float = 1e-8,
    max_iter: int = 1000,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    html: Path | None = None,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> int:
    """Solve a concave-penalised problem and report the solution with its certificates.

    Ends with status 0, or 2 where the solver stopped before its tolerance.

    Parameters
    ----------
    statement
        Data and model.
    start
        Where the run starts, by default where the solver likes; with --lam auto, the path's solution instead.
    tol
        Stationarity asked for, relative to the largest gradient at zero.
    max_iter
        Largest number of majorize-minimize steps.
    output
        File for the coefficients: CSV (the intercept, then names and coefficients of the support) or npz (x,
        intercept).
    html
        File for the report as a page.
    json
        File for the report as JSON; - for standard output.
    """
    from concave_sparsity.stages import stage
    from convex_analysis.commands.report import check_destinations
    from convex_analysis.commands.solving import (
        deliver,
        solution_picture,
        solution_report,
        solve_quietly,
        store_solution,
    )

    check_destinations(output=(output, (".csv", ".npz")), html=(html, ()), json=(json, ()))
    with stage("loading modules and data"):
        stated = statement.stated()
    with stage("choosing lam on a path") as now:
        problem, chosen, last = statement.settled(stated.problem, now)
    with stage("solving"):
        found = solve_quietly(problem, start if last is None else last, tol, max_iter)
    report = solution_report(stated, problem, found, chosen)
    written = []
    if output is not None:
        store_solution(output, stated, found)
        written.append(output)
    if html is not None:
        report.pictures.append(solution_picture(stated, found))
    deliver(report, html, json, written)
    return 0 if found.converged else 2

"""Solve for a mask, bound the global minimum, and report which theorems hold on the data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convex_analysis.commands.statement import Statement


def certify(
    statement: Statement,
    *,
    target: str | None = None,
    estimate: str | None = None,
    start: Literal["l1", "zero", "dense", "multi"] | None = None,
    tol: float = 1e-8,
    max_iter: int = 1000,
    global_seconds: float = 5.0,
    weight_decay: float | None = None,
    theorems: Annotated[bool, Parameter(name="--theorems", negative="")] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    html: Path | None = None,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> int:
    """Solve, bound the global minimum, and report which theorems hold on the data, with their figures.

    Ends with status 0; with 2 where the solver stopped before its tolerance, or a theorem fails.

    Parameters
    ----------
    statement
        Data and model.
    target
        The mask to compare with: a file of zeros and ones (npy, npz with the key mask, or CSV), or
        the word rounded for the solution rounded at one half. Without it, the theorems on the
        distance to a target do not apply.
    estimate
        A mask to certify as it is, instead of solving: a file of entries inside the box.
    start
        Where the run starts, by default where the solver likes; with --lam auto, the path's solution instead.
    tol
        Stationarity asked for, relative to the largest gradient at zero.
    max_iter
        Largest number of majorize-minimize steps.
    global_seconds
        Time for branch and bound, which certifies how far the global minimum is and replaces the
        solution where it finds a better one; 0 for none.
    weight_decay
        Decay of the weights that the mask multiplies (T11); with --estimate and --theta, a mask and
        weights trained together with this decay are examined (T17).
    theorems
        Print the table of all theorems too; pages and JSON always have it.
    output
        File for the solution: npz (x, intercept) or CSV (intercept, names and entries of the support).
    html
        File for the report as a page.
    json
        File for the report as JSON; - for standard output.
    """
    from concave_sparsity.stages import stage
    from convex_analysis.commands.certificate import certificate_report
    from convex_analysis.commands.global_bound import check_seconds, global_bound
    from convex_analysis.commands.masks import estimate_mask, given_solution, target_mask
    from convex_analysis.commands.report import check_destinations
    from convex_analysis.commands.solving import deliver, solution_picture, solve_quietly, store_solution
    from convex_analysis.theorems import ALL, Case

    check_seconds(global_seconds)
    check_destinations(output=(output, (".csv", ".npz")), html=(html, ()), json=(json, ()))
    with stage("loading modules and data"):
        stated = statement.stated(any(one is not None for one in (target, estimate, weight_decay)))
        problem = stated.problem
        if not math.isfinite(problem.loss.smoothness):
            raise ValueError(
                "the theorems and branch and bound need a loss of bounded curvature, which "
                f"{statement.loss} is not: use solve, which bounds what it can."
            )
        mask = target_mask(target, problem.n_features)
        given = estimate_mask(estimate, problem)
    with stage("choosing lam on a path") as now:
        problem, chosen, last = statement.settled(problem, now)
    with stage("solving"):
        if given is not None:
            found = given_solution(problem, given, tol)
        else:
            found = solve_quietly(problem, start if last is None else last, tol, max_iter)
    with stage("branch and bound"):
        best = global_bound(problem, global_seconds)
    if best is not None and given is None and best.objective < found.objective - best.tolerance:
        found = solve_quietly(problem, best.x, tol, max_iter)
    if target == "rounded":
        mask = (found.x > 0.5).astype(float)
    trained = given is not None and statement.theta is not None
    case = Case(
        problem,
        mask,
        found,
        mask=given if trained else None,
        weights=problem.design.scale if trained else None,
        weight_decay=weight_decay,
    )
    verdicts = []
    for theorem in ALL:
        with stage(f"examining {theorem.name}"):
            verdicts.append(theorem.examine(case))
    report = certificate_report(case, stated, found, chosen, verdicts, best)
    written = []
    if output is not None:
        store_solution(output, stated, found)
        written.append(output)
    if html is not None:
        report.pictures.append(solution_picture(stated, found, case.target))
    deliver(report, html, json, written, tables=theorems)
    failed = any(verdict.status == "FAILS" for verdict in verdicts)
    return 2 if failed or not (found.converged or given is not None) else 0

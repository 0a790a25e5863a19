"""Solve for a mask and report which theorems hold on the data, with their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convex_analysis.commands.statement import Statement


def certify(
    statement: Statement,
    *,
    target: str | None = None,
    start: Literal["l1", "zero", "dense", "multi"] = "l1",
    tol: float = 1e-8,
    max_iter: int = 1000,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    html: Path | None = None,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> int:
    """Solve for a mask in [0, 1] and report which theorems hold on the data, with their figures.

    Ends with status 0; with 2 where the solver stopped before its tolerance, or a theorem fails.

    Parameters
    ----------
    statement
        Data and model.
    target
        The mask to compare with: a file of zeros and ones (npy, npz with the key mask, or CSV), or
        the word rounded for the solution rounded at one half. Without it, the theorems on the
        distance to a target do not apply.
    start
        Where the run starts; with --lam auto, the path's solution instead.
    tol
        Stationarity asked for, relative to the largest gradient at zero.
    max_iter
        Largest number of majorize-minimize steps.
    output
        File for the mask: npz (x, intercept) or CSV (names and entries of the support).
    html
        File for the report as a page.
    json
        File for the report as JSON; - for standard output.
    """
    from convex_analysis import theorems
    from convex_analysis.commands.certificate import certificate_report, target_mask
    from convex_analysis.commands.solving import deliver, solve_quietly, store_solution

    problem, names = statement.problem("mask")
    mask = target_mask(target, problem.n_features)
    problem, chosen, last = statement.settled(problem)
    found = solve_quietly(problem, start if last is None else last, tol, max_iter)
    if target == "rounded":
        mask = (found.x > 0.5).astype(float)
    verdicts = theorems.check_all(problem, mask, found)
    report = certificate_report(problem, found, names, chosen, mask, verdicts)
    if output is not None:
        store_solution(output, found, names)
    deliver(report, html, json)
    failed = any(verdict.status == "FAILS" for verdict in verdicts)
    return 0 if found.converged and not failed else 2

"""What both commands do: solve, describe the solution, deliver the report."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.commands.report import Report, Table, write

if TYPE_CHECKING:
    from convex_analysis.losses.loss import Vector
    from convex_analysis.problems import Problem
    from convex_analysis.solution import Solution

ABOVE = "above the global minimum"
SHOWN = 20  # coefficients in the table; files hold all


def solve_quietly(problem: Problem, start: str | Vector, tol: float, max_iter: int) -> Solution:
    """Solve; a stop before the tolerance is said in the report, not as a warning."""
    from convex_analysis.solution import ConvergenceWarning
    from convex_analysis.solver.run import majorize_minimize

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return majorize_minimize(problem, start, tol, max_iter)


def solution_report(problem: Problem, found: Solution, names: list[str], chosen: str) -> Report:
    """Return the report on a solution: the model, how the run ended, the certificates, the support.

    Parameters
    ----------
    problem, found
        The problem and its solution.
    names
        Names of the features.
    chosen
        How lam was chosen, "" where it was given.
    """
    support = found.support[np.argsort(-np.abs(found.x[found.support]), kind="stable")]
    facts = [
        ("data", f"{problem.n_samples} samples, {problem.n_features} features"),
        ("model", f"{problem.loss!r}, {problem.penalty!r}, {_box(problem)}"),
        ("lam", f"{problem.lam:.6g}" + (f" ({chosen})" if chosen else "")),
        ("ended", found.message),
        ("objective", found.objective),
        ("support", f"{support.size} of {problem.n_features}"),
        ("stationarity", found.stationarity),
        ("duality gap of the last convex step", found.gap),
        (ABOVE, _at_most(found.suboptimality_bound)),
        ("seconds", found.seconds),
    ]
    if problem.fit_intercept:
        facts.insert(6, ("intercept", found.intercept))
    largest = Table(
        f"The {min(SHOWN, support.size)} largest coefficients" if support.size > SHOWN else "Coefficients",
        ("feature", "coefficient"),
        [(names[j], float(found.x[j])) for j in support[:SHOWN]],
    )
    data = {
        "n_samples": problem.n_samples,
        "n_features": problem.n_features,
        "problem": type(problem).__name__,
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "lam": problem.lam,
        "lam_chosen_by": chosen or None,
        "status": found.status.name,
        "message": found.message,
        "objective": found.objective,
        "stationarity": found.stationarity,
        "tolerance": found.tolerance,
        "gap": found.gap,
        "suboptimality_bound": found.suboptimality_bound,
        "n_iter": found.n_iter,
        "seconds": found.seconds,
        "intercept": found.intercept,
        "support": [
            {"feature": names[j], "index": int(j), "coefficient": float(found.x[j])} for j in support
        ],
    }
    return Report("Solution", facts, [largest] if support.size else [], data)


def deliver(report: Report, html: Path | None, json: Path | None) -> None:
    """Write the files asked for, and show the report in the terminal unless JSON goes there."""
    if html is not None:
        write(html, report.html())
    if json is not None and str(json) != "-":
        write(json, report.json())
    if json is not None and str(json) == "-":
        print(report.json(), end="")
        return
    from rich.console import Console

    report.show(Console())


def store_solution(file: Path, found: Solution, names: list[str]) -> None:
    """Write the coefficients: an npz file holds x and the intercept, a CSV file the support by name.

    Raises
    ------
    ValueError
        If the name of the file ends in neither.
    """
    if file.suffix == ".npz":
        stream = io.BytesIO()
        np.savez(stream, x=found.x, intercept=found.intercept)
        write(file, stream.getvalue())
    elif file.suffix == ".csv":
        import csv

        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        writer.writerow(("feature", "coefficient"))
        writer.writerows((names[j], repr(float(found.x[j]))) for j in found.support)
        write(file, lines.getvalue())
    else:
        raise ValueError(f"--output must end in .npz or .csv, got {file}.")


def _at_most(bound: float) -> str:
    return f"at most {bound:.4g}" if np.isfinite(bound) else "not known: that needs a finite box"


def _box(problem: Problem) -> str:
    if np.isinf(problem.lower).all() and np.isinf(problem.upper).all():
        return "no bounds"
    low, high = np.unique(problem.lower), np.unique(problem.upper)
    if low.size == high.size == 1:
        return f"box [{_number(low[0])}, {_number(high[0])}]"
    return "bounds that differ between features"


def _number(value: Any) -> str:
    return f"{float(value):g}"

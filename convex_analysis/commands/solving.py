"""What the commands share: solve, describe the solution, deliver the report."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.commands.report import Report, Table, write

if TYPE_CHECKING:
    from convex_analysis.commands.statement import Stated
    from convex_analysis.losses.loss import Vector
    from convex_analysis.problems import Problem
    from convex_analysis.solution import Solution

ABOVE = "above the global minimum"
INTERCEPT = "(intercept)"
SHOWN = 20  # coefficients in the table; files hold all


def solve_quietly(problem: Problem, start: str | Vector | None, tol: float, max_iter: int) -> Solution:
    """Solve; a stop before the tolerance is said in the report, not as a warning."""
    from convex_analysis.solution import ConvergenceWarning
    from convex_analysis.solver.run import majorize_minimize

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return majorize_minimize(problem, start, tol, max_iter)


def solution_report(stated: Stated, problem: Problem, found: Solution, chosen: str) -> Report:
    """Return the report on a solution: the model, how the run ended, the certificates, the support.

    Parameters
    ----------
    stated
        What the command line states: names of the features, coding of labels, units.
    problem, found
        The problem at its lam, and its solution.
    chosen
        How lam was chosen, "" where it was given.
    """
    names = stated.names
    x, intercept = stated.in_own_units(found)
    bound = found.suboptimality_bound
    if not np.isfinite(bound) or bound >= found.objective * (1.0 - 1e-9):
        told = "no bound: run certify" + ("" if _boxed(problem) else ", with --lower and --upper")
    else:
        told = f"at most {abs(bound):.4g}"
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
        (ABOVE, told),
        ("seconds", found.seconds),
    ]
    if problem.fit_intercept:
        facts.insert(6, ("intercept", intercept))
    if stated.labels:
        facts.insert(1, ("labels", stated.labels))
    if stated.units is not None:
        facts.insert(3, ("units", "features standardised; coefficients and intercept in their own units"))
    largest = Table(
        f"The {min(SHOWN, support.size)} largest coefficients" if support.size > SHOWN else "Coefficients",
        ("feature", "coefficient"),
        [(names[j], float(x[j])) for j in support[:SHOWN]],
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
        "intercept": intercept,
        "fit_intercept": problem.fit_intercept,
        "standardized": stated.units is not None,
        "labels": stated.labels or None,
        "support": [{"feature": names[j], "index": int(j), "coefficient": float(x[j])} for j in support],
    }
    return Report("Solution", facts, [largest] if support.size else [], data)


def solution_picture(stated: Stated, found: Solution, target: Vector | None = None) -> tuple[str, bytes]:
    """Return what the picture of a solution shows, and the picture."""
    from convex_analysis.pictures import draw_solution, picture

    x, _ = stated.in_own_units(found)
    height = 1.2 + 0.2 * min(20, max(1, found.support.size))
    drawn = picture(lambda ax: draw_solution(ax, x, stated.names, target), height=height)
    return "the largest coefficients" + ("" if target is None else ", beside the target"), drawn


def deliver(
    report: Report, html: Path | None, json: Path | None, written: list[Path], *, tables: bool = True
) -> None:
    """Write the files asked for, and show the report in the terminal unless JSON goes there.

    Parameters
    ----------
    report
        The report.
    html, json
        Where it goes besides.
    written
        Files that were written before; all are named on standard error.
    tables
        Whether the terminal shows the tables too; the page has them in any case.
    """
    if html is not None:
        write(html, report.html())
        written = [*written, html]
    if json is not None and str(json) != "-":
        write(json, report.json())
        written = [*written, json]
    if written:
        print("wrote " + ", ".join(str(file) for file in written), file=sys.stderr)
    if json is not None and str(json) == "-":
        print(report.json(), end="")
        return
    from rich.console import Console

    console = Console()
    report.show(console, tables=tables)
    if not tables and report.tables:
        console.print(
            "--theorems lists what each theorem says here, --html FILE.html with its numbers.", style="dim"
        )


def store_solution(file: Path, stated: Stated, found: Solution) -> None:
    """Write the coefficients in the features' own units.

    An npz file holds x and the intercept; a CSV file the intercept, if there is one, and the support by name.
    """
    x, intercept = stated.in_own_units(found)
    if file.suffix == ".npz":
        stream = io.BytesIO()
        np.savez(stream, x=x, intercept=intercept)
        write(file, stream.getvalue())
    else:
        import csv

        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        writer.writerow(("feature", "coefficient"))
        if stated.problem.fit_intercept:
            writer.writerow((INTERCEPT, repr(float(intercept))))
        writer.writerows((stated.names[j], repr(float(x[j]))) for j in found.support)
        write(file, lines.getvalue())


def _boxed(problem: Problem) -> bool:
    return bool(np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all())


def _box(problem: Problem) -> str:
    if np.isinf(problem.lower).all() and np.isinf(problem.upper).all():
        return "no bounds"
    low, high = np.unique(problem.lower), np.unique(problem.upper)
    if low.size == high.size == 1:
        return f"box [{_number(low[0])}, {_number(high[0])}]"
    return "bounds that differ between features"


def _number(value: Any) -> str:
    return f"{float(value):g}"

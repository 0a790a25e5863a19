"""Solve along a grid of lam: coefficients, criteria, and the lam that would be chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convex_analysis.commands.statement import Statement

if TYPE_CHECKING:
    from convex_analysis.commands.choice import Choice
    from convex_analysis.commands.report import Report
    from convex_analysis.commands.statement import Stated


def path(
    statement: Statement,
    *,
    n_lams: int = 50,
    smallest: float | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    plot: Path | None = None,
    html: Path | None = None,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
) -> int:
    """Solve along a grid of lam, report each solution, and mark the lam that --choice chooses.

    Ends with status 0, or 2 where a solution stopped before its tolerance.

    Parameters
    ----------
    statement
        Data and model; --choice says what marks a lam, --lam has no place here.
    n_lams
        Number of values of lam, from the largest (no feature) down.
    smallest
        The last value over the largest, in (0, 1]; 0.01 if there are fewer samples than features, else 0.001.
    tol
        Stationarity asked for, relative to the largest gradient at zero.
    max_iter
        Largest number of majorize-minimize steps of each solution.
    output
        CSV file for the coefficients: a line a lam, a column a feature that enters anywhere.
    plot
        File for the picture of the coefficients against lam: png, svg or pdf.
    html
        File for the report as a page.
    json
        File for the report as JSON; - for standard output.
    """
    from concave_sparsity.stages import stage
    from convex_analysis.commands.choice import choose
    from convex_analysis.commands.report import check_destinations, write
    from convex_analysis.commands.solving import deliver

    if statement.lam != "auto":
        raise ValueError("--lam fixes one value, a path has a grid of them: leave it out, or use solve.")
    check_destinations(
        output=(output, (".csv",)), plot=(plot, (".png", ".svg", ".pdf")), html=(html, ()), json=(json, ())
    )
    with stage("loading modules and data"):
        stated = statement.stated()
    with stage("following the path") as now:
        found = choose(
            stated.problem,
            statement.choice,
            now,
            n_lams=n_lams,
            smallest=smallest,
            tol=tol,
            max_iter=max_iter,
        )
    found = replace(found, remedy="give --smallest")
    written = []
    if output is not None:
        _store(output, stated, found)
        written.append(output)
    if plot is not None:
        write(plot, _picture(stated, found, plot.suffix[1:]))
        written.append(plot)
    report = _report(stated, found)
    if html is not None:
        what = f"the coefficients against lam, with the lam chosen by {found.by} as a line"
        report.pictures.append((what, _picture(stated, found, "png")))
    deliver(report, html, json, written)
    return 0 if all(solution.converged for solution in found.along) else 2


def _report(stated: Stated, found: Choice) -> Report:
    from convex_analysis.commands.choice import chosen_place
    from convex_analysis.commands.report import Report, Table

    problem, along, chosen = stated.problem, found.along, chosen_place(found)
    rows: list[tuple[Any, ...]] = []
    steps: list[dict[str, Any]] = []
    for i, solution in enumerate(along):
        value = float(found.values[i])
        mark = "chosen" if i == chosen else "" if solution.converged else solution.status.name
        rows.append((solution.lam, solution.support.size, solution.objective, value, mark))
        steps.append(
            {
                "lam": solution.lam,
                "support_size": solution.support.size,
                "objective": solution.objective,
                "value": value,
                "status": solution.status.name,
            }
        )
    table = Table("Along lam", ("lam", "support", "objective", found.quantity, ""), rows)
    early = sum(not solution.converged for solution in along)
    facts = [
        ("data", f"{problem.n_samples} samples, {problem.n_features} features"),
        ("model", f"{problem.loss!r}, {problem.penalty!r}"),
        ("lam chosen", f"{found.best.lam:.6g} ({found})"),
        ("support there", f"{found.best.support.size} of {problem.n_features}"),
        ("stopped early", f"{early} of {len(along)} solutions"),
    ]
    data = {
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "lam_chosen": found.best.lam,
        "lam_chosen_by": found.by,
        "quantity": found.quantity,
        "support": [stated.names[j] for j in found.best.support],
        "path": steps,
    }
    return Report("Path", facts, [table], data, stated.sentence)


def _store(file: Path, stated: Stated, found: Choice) -> None:
    """Write lam, whether it was chosen, the intercept and the coefficients in the features' own units."""
    import csv
    import io

    import numpy as np

    from convex_analysis.commands.report import write
    from convex_analysis.commands.solving import INTERCEPT

    entering = np.flatnonzero((found.along.coefficients != 0.0).any(axis=1))
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("lam", "chosen", INTERCEPT, *(stated.names[j] for j in entering)))
    for solution in found.along:
        x, intercept = stated.in_own_units(solution)
        chosen = int(solution.lam == found.best.lam)
        writer.writerow((repr(solution.lam), chosen, repr(intercept), *(repr(float(x[j])) for j in entering)))
    write(file, lines.getvalue())


def _picture(stated: Stated, found: Choice, kind: str) -> bytes:
    """Draw the coefficients against lam, the chosen lam as a line, the features kept there by name."""
    import numpy as np

    from convex_analysis.pictures import draw_coefficients, picture

    coefficients = np.array([stated.in_own_units(solution)[0] for solution in found.along]).T
    own, kept = stated.in_own_units(found.best)[0], found.best.support
    kept = kept[np.argsort(-np.abs(own[kept]), kind="stable")]
    return picture(
        lambda ax: draw_coefficients(
            ax, found.along.lams, coefficients, kept, stated.names, found.best.lam, found.by
        ),
        kind,
    )

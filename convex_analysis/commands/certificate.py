"""The report of `certify`: solution, distance to the target, and each theorem with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.commands.report import Report, Table
from convex_analysis.commands.solving import solution_report
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems import Problem
    from convex_analysis.solution import Solution
    from convex_analysis.theorems import Verdict


def target_mask(source: str | None, n_features: int) -> Vector | None:
    """Read the target mask; None where there is none yet (no source, or the word "rounded").

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, of another length, or not of zeros and ones.
    """
    if source is None or source == "rounded":
        return None
    from convex_analysis.commands.data_files import read_vector

    mask = np.asarray(read_vector(source, ("mask", "target")), dtype=np.float64)
    if mask.size != n_features:
        raise ValueError(f"{source}: the target has {mask.size} entries, X has {n_features} features.")
    if not np.isin(mask, (0.0, 1.0)).all():
        raise ValueError(f"{source}: a target mask holds zeros and ones only.")
    return mask


def certificate_report(
    problem: Problem,
    found: Solution,
    names: list[str],
    chosen: str,
    mask: Vector | None,
    verdicts: Sequence[Verdict],
) -> Report:
    """Return the report on a solution with one row a theorem.

    Parameters
    ----------
    problem, found, names, chosen
        As in `solution_report`.
    mask
        The target, if there is one.
    verdicts
        What `convex_analysis.theorems.check_all` returned.
    """
    report = solution_report(problem, found, names, chosen)
    report.title = "Certificate"
    if mask is not None:
        facts, data = _distance(problem, found, mask)
        report.facts += facts
        report.data["target"] = data
    rows = [
        (verdict.theorem, verdict.title, verdict.status, verdict.measured, verdict.bound)
        for verdict in verdicts
    ]
    columns = ("theorem", "", "here", "measured", "bound")
    notes = [f"{verdict.theorem}: {_why(verdict)}." for verdict in verdicts if _why(verdict)]
    details = [verdict.explain() for verdict in verdicts]
    report.tables.append(Table("Theorems", columns, rows, notes, details))
    report.data["theorems"] = [verdict.to_dict() for verdict in verdicts]
    return report


def _distance(
    problem: Problem, found: Solution, mask: Vector
) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    error = found.x - mask
    gradient = problem.gradient(mask, found.intercept)
    wrong = int(np.count_nonzero((found.x > 0.5) != (mask > 0.5)))
    noise = float(np.abs(gradient).max())
    data = {
        "support_size": int(mask.sum()),
        "l2_error": float(np.linalg.norm(error)),
        "wrong_after_rounding": wrong,
        "noise_level": noise,
        "kappa": noise / problem.lam if problem.lam > 0 else np.inf,
    }
    facts = [
        ("target", f"{data['support_size']} of {mask.size} kept"),
        ("distance to the target, l2", data["l2_error"]),
        ("entries wrong after rounding at 1/2", wrong),
        ("kappa, the noise at the target over lam", data["kappa"]),
    ]
    if noise >= problem.lam:
        facts.append(("note", f"the bounds of T2 and T4 need kappa < 1, that is lam above {noise:.6g}"))
    return facts, data


def _why(verdict: Verdict) -> str:
    failed = [hypothesis for hypothesis in verdict.hypotheses if not hypothesis.holds]
    if failed:
        first = failed[0]
        found = "" if np.isnan(first.measured) else f", is {first.measured:.4g}"
        return f"does not apply: {first.name} must be {first.needed}{found}"
    return verdict.remark.rstrip(".")

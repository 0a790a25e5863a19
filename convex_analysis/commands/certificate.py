"""The report of `certify`: solution, global bound, distance to the target, each theorem with its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.commands.report import Report, Table
from convex_analysis.commands.solving import ABOVE, solution_report

if TYPE_CHECKING:
    from convex_analysis.global_minimum.solution import GlobalSolution
    from convex_analysis.solution import Solution
    from convex_analysis.theorems import Case, Verdict


def certificate_report(
    case: Case,
    found: Solution,
    names: list[str],
    chosen: str,
    verdicts: Sequence[Verdict],
    best: GlobalSolution | None,
) -> Report:
    """Return the report on a solution with one row a theorem.

    Parameters
    ----------
    case
        Problem, target (if there is one) and solution.
    found, names, chosen
        As in `solution_report`.
    verdicts
        What each theorem says about the case.
    best
        What branch and bound found, if it ran.
    """
    report = solution_report(case.problem, found, names, chosen)
    report.title = "Certificate"
    _tell_global_bound(report, found, verdicts, best)
    if case.target is not None:
        facts, data = _distance(case)
        report.facts += facts
        report.data["target"] = data
    counts = {status: sum(v.status == status for v in verdicts) for status in ("holds", "applies", "FAILS")}
    others = len(verdicts) - sum(counts.values())
    told = f"{counts['holds']} hold, {others} do not apply, {counts['FAILS']} fail"
    if counts["applies"]:
        told += f", {counts['applies']} apply with nothing to measure"
    report.facts.append(("theorems", told))
    rows = [(verdict.theorem, verdict.title, verdict.status, verdict.finding) for verdict in verdicts]
    columns = ("", "theorem", "here", "why, or what was measured")
    details = [verdict.explain() for verdict in verdicts]
    report.tables.append(Table("Theorems", columns, rows, details=details))
    report.data["theorems"] = [verdict.to_dict() for verdict in verdicts]
    return report


def _tell_global_bound(
    report: Report, found: Solution, verdicts: Sequence[Verdict], best: GlobalSolution | None
) -> None:
    """Put the best bound at hand in place of the solver's own."""
    bounds = [(found.suboptimality_bound, "the envelope, T1")]
    bounds += [(v.bound, "the envelope, T1") for v in verdicts if v.theorem == "T1" and v.applies]
    if best is not None:
        bounds.append(
            (max(found.objective - best.lower_bound, 0.0), f"branch and bound, {best.n_nodes} nodes")
        )
        report.data["global"] = {
            "status": str(best.status),
            "objective": best.objective,
            "lower_bound": best.lower_bound,
            "gap": best.gap,
            "tolerance": best.tolerance,
            "n_nodes": best.n_nodes,
            "seconds": best.seconds,
        }
    bound, source = min(bounds, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])
    report.data["suboptimality_bound"] = bound
    at = [label for label, _ in report.facts].index(ABOVE)
    report.facts[at] = (ABOVE, f"at most {bound:.4g} ({source})" if math.isfinite(bound) else "not known")
    if best is not None and best.objective < found.objective - best.tolerance:
        report.facts.insert(
            at + 1, ("a better point exists", f"objective {best.objective:.6g}, found by branch and bound")
        )


def _distance(case: Case) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    assert case.target is not None
    assert case.point is not None
    wrong = int(np.count_nonzero((case.point > 0.5) != (case.target > 0.5)))
    noise = float(np.abs(case.gradient).max())
    lam = case.lam
    data = {
        "support_size": case.k,
        "l2_error": case.distance,
        "wrong_after_rounding": wrong,
        "noise_level": noise,
        "kappa": noise / lam if lam > 0 else np.inf,
        "kappa_on_support": case.noise_on_support,
        "kappa_off_support": case.noise_off_support,
    }
    facts: list[tuple[str, Any]] = [
        ("target", f"{case.k} of {case.target.size} kept"),
        ("distance to the target", f"{case.distance:.6g} (l2)"),
        ("wrong after rounding at 1/2", wrong),
    ]
    if lam > 0:
        facts.append(("noise over lam (kappa)", _noise(case)))
    return facts, data


def _noise(case: Case) -> str:
    parts = []
    if case.k:
        parts.append(f"at most {max(case.noise_on_support, 0.0):.4g} pulls the kept entries down")
    if case.k < case.support.size:
        parts.append(f"at most {max(case.noise_off_support, 0.0):.4g} pulls the others up")
    return ", ".join(parts)

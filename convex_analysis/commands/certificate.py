"""The report of `certify`: solution, global bound, distance to the target, each theorem with its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.commands.report import Report, Table
from convex_analysis.commands.solving import ABOVE, solution_report

if TYPE_CHECKING:
    from convex_analysis.branch_and_bound.solution import GlobalSolution
    from convex_analysis.commands.statement import Stated
    from convex_analysis.solution import Solution
    from convex_analysis.theorems import Case, Verdict


def certificate_report(
    case: Case,
    stated: Stated,
    found: Solution,
    chosen: str,
    verdicts: Sequence[Verdict],
    best: GlobalSolution | None,
) -> Report:
    """Return the report on a solution with one row a theorem.

    Parameters
    ----------
    case
        Problem, target (if there is one) and solution.
    stated, found, chosen
        As in `solution_report`.
    verdicts
        What each theorem says about the case.
    best
        What branch and bound found, if it ran.
    """
    report = solution_report(stated, case.problem, found, chosen)
    report.title = "Certificate"
    report.data["fitted"] = stated.sentence
    _tell_global_bound(report, found, verdicts, best)
    if case.target is not None:
        facts, data = _distance(case)
        report.facts += facts
        report.data["target"] = data
    report.data["theorems"] = [verdict.to_dict() for verdict in verdicts]
    if case.problem.loss.quadratic:  # the curvature of a linear model is constant: nothing to say
        verdicts = [verdict for verdict in verdicts if verdict.theorem != "T12"]
    vacuous = sum(_says_nothing(verdict, case.problem.n_features) for verdict in verdicts)
    counts = {status: sum(v.status == status for v in verdicts) for status in ("holds", "applies", "FAILS")}
    others = len(verdicts) - sum(counts.values())
    told = f"{counts['holds']} hold, {others} do not apply, {counts['FAILS']} fail"
    if vacuous:
        told += f"; {vacuous} of those that hold say nothing (bound of a distance above sqrt(d))"
    if counts["applies"]:
        told += f", {counts['applies']} apply with nothing to measure"
    report.facts.append(("theorems", told))
    report.sentence = f"{_verdict(report.data['suboptimality_bound'], found, counts)} {stated.sentence}"
    rows, details = _rows(verdicts, case.problem.n_features)
    columns = ("", "theorem", "here", "why, or what was measured")
    report.tables.append(Table("Theorems", columns, rows, details=details))
    return report


def _verdict(bound: float, found: Solution, counts: dict[str, int]) -> str:
    """Return what is certified, in a sentence."""
    if counts["FAILS"]:
        return f"{counts['FAILS']} of the theorems fail on these data, which is a fault of this program."
    size = f"The point keeps {found.support.size} of {found.x.size} entries"
    if not math.isfinite(bound) or 0.0 < found.objective * (1.0 - 1e-9) <= bound:
        return f"{size}; how far it is from the global minimum is not known."
    if bound <= 1e-3 * abs(found.objective):  # whatever the units of y
        return f"{size} and is the global minimum, to within {max(bound, 0.0):.1g}: proved."
    return f"{size}; no point has an objective that is smaller by more than {bound:.3g}: proved."


def _says_nothing(verdict: Verdict, n_features: int) -> bool:
    """Whether a theorem bounds a distance between masks by more than any two masks are apart."""
    if verdict.status not in ("holds", "applies") or "||_2" not in verdict.quantity:
        return False
    return verdict.bound >= math.sqrt(n_features)


def _rows(verdicts: Sequence[Verdict], n_features: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the rows of the table and their details; theorems with one reason in common share a row."""
    rows: dict[Any, tuple[str, ...]] = {}
    details: dict[Any, str] = {}
    for verdict in verdicts:
        status, finding = verdict.status, verdict.finding
        if _says_nothing(verdict, n_features):
            status = "vacuous"
            finding = f"{finding}. No two masks are further apart than sqrt(d) = {math.sqrt(n_features):.4g}"
        failed = [one.shortfall for one in verdict.hypotheses if not one.holds]
        key = ("does not apply", failed[0]) if failed else verdict.theorem
        if failed and key in rows:
            names, title, status, _ = rows[key]
            rows[key] = (f"{names}, {verdict.theorem}", f"{title}; {verdict.title}", status, failed[0])
            details[key] += "\n\n" + verdict.explain()
        else:
            rows[key] = (verdict.theorem, verdict.title, status, finding)
            details[key] = verdict.explain()
    return list(rows.values()), list(details.values())


def _tell_global_bound(
    report: Report, found: Solution, verdicts: Sequence[Verdict], best: GlobalSolution | None
) -> None:
    """Put the best bound at hand in place of the solver's own."""
    bounds = [(found.suboptimality_bound, "T1 or T20 at the solution")]
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
    if math.isfinite(bound) and bound < found.objective * (1.0 - 1e-9):
        report.facts[at] = (ABOVE, f"at most {abs(bound):.4g} ({source})")
    else:
        why = "" if best is not None else ": branch and bound needs a finite box, --lower and --upper"
        report.facts[at] = (ABOVE, f"no bound{why}")
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
        parts.append(f"at most {abs(max(case.noise_on_support, 0.0)):.4g} pulls the kept entries down")
    if case.k < case.support.size:
        parts.append(f"at most {abs(max(case.noise_off_support, 0.0)):.4g} pulls the others up")
    return ", ".join(parts)

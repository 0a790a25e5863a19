"""All theorems at once: what applies, what is missing, what a verdict carries, what is refused."""

import json

import numpy as np
import pytest
from theorem_strategies import cases, orthogonal, search, solve, thorough

from concave_sparsity import MCP, Log
from convex_analysis import MaskProblem, RegressionProblem, theorems


def _problem(penalty=None, n=40, d=6, **settings):
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((n, d)), (np.arange(d) < 2).astype(float)
    y = X @ target + 0.05 * rng.standard_normal(n)
    return MaskProblem(X, y, penalty=penalty or Log(0.3), lam=0.02, **settings), target


@thorough(12)
def test_no_theorem_fails_on_anything(count):
    def attempt(case):
        yield from theorems.check_all(
            case.problem, case.target, solve(case.problem), weight_decay=0.1, steps=30
        )

    search(cases(max_features=5), attempt, count)


@thorough(12)
def test_no_theorem_fails_with_a_ridge_and_an_offset(count):
    def attempt(case):
        verdicts = theorems.check_all(case.problem, case.target, solve(case.problem, case.target), steps=30)
        assert {v.theorem for v in verdicts if v.theorem in ("T9", "T21") and v.applies} == set() or (
            case.problem.ridge is None
        )
        yield from verdicts

    losses = ("linear", "logistic", "huber")
    margins = search(cases(max_features=5, losses=losses, ridge_and_offset=True), attempt, count)
    assert len(margins) > 4 * count


def test_a_ridge_gains_curvature_and_pays_on_the_support():
    problem, target = _problem()
    ridged, _ = _problem(ridge=0.05)
    plain, case = theorems.Case(problem, target), theorems.Case(ridged, target)
    assert case.convexity_at_target.value == pytest.approx(plain.convexity_at_target.value + 0.05, rel=1e-9)
    assert case.noise_on_support == pytest.approx(plain.noise_on_support + 0.05 / problem.lam, rel=1e-9)
    assert case.noise_off_support == pytest.approx(plain.noise_off_support, rel=1e-9)
    # Where it says anything, T2's closed form only loses by it.
    assert theorems.T3.check(ridged, target).measured > theorems.T3.check(problem, target).measured


def test_there_is_one_verdict_a_theorem_in_order():
    problem, target = _problem()
    verdicts = theorems.check_all(problem, target, solve(problem))
    assert [v.theorem for v in verdicts] == [f"T{i}" for i in range(1, len(theorems.ALL) + 1)]
    assert [t.name for t in theorems.ALL] == [v.theorem for v in verdicts]
    assert all(getattr(theorems, t.name) is t for t in theorems.ALL)
    assert all(v.status in ("holds", "does not apply") for v in verdicts)
    assert sum(v.status == "holds" for v in verdicts) >= 10
    json.dumps([v.to_dict() for v in verdicts], allow_nan=False)
    for verdict in verdicts:
        text = verdict.explain()
        assert verdict.title in text
        assert verdict.reference in text


def test_every_reference_leads_to_an_anchor_of_the_page():
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "theory.md").read_text()
    for theorem in theorems.ALL:
        path, anchor = theorem.reference.split("#")
        assert path == "docs/theory.md"
        assert f'<a id="{anchor}"></a>\n## {theorem.name} ' in page


def test_without_a_target_the_others_still_run():
    problem, _ = _problem()
    verdicts = {v.theorem: v for v in theorems.check_all(problem, None, solve(problem))}
    assert verdicts["T1"].holds
    assert verdicts["T7"].holds
    assert "target mask" in verdicts["T4"].explain()
    assert verdicts["T4"].status == "does not apply"
    assert verdicts["T4"].holds is None


def test_without_a_point_the_bounds_are_a_priori():
    problem, target = _problem()
    verdict = theorems.T4.check(problem, target)
    assert verdict.status == "applies"
    assert np.isfinite(verdict.bound)
    assert np.isnan(verdict.measured)
    assert verdict.to_dict()["measured"] is None


def test_signed_problems_get_what_needs_no_mask():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4))
    problem = RegressionProblem(X, X @ [1.0, -1, 0, 0], penalty=MCP(2.0), lam=0.05, lower=-3, upper=3)
    verdicts = {v.theorem: v for v in theorems.check_all(problem, [1, 0, 0, 0], solve(problem))}
    assert verdicts["T1"].holds
    assert verdicts["T7"].holds
    assert "box" in verdicts["T2"].explain()
    assert not verdicts["T2"].applies


def test_an_intercept_is_minimised_over():
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((40, 3)), np.array([1.0, 0.0, 1.0])
    problem = MaskProblem(X, X @ target + 3.0, penalty=Log(0.5), lam=0.01, fit_intercept=True)
    solution = solve(problem)
    for verdict in theorems.check_all(problem, target, solution):
        assert verdict.holds is not False, verdict.explain()
    centred = MaskProblem(X - X.mean(0), (X - X.mean(0)) @ target, penalty=Log(0.5), lam=0.01)
    assert theorems.T2.bound(problem, target) == pytest.approx(theorems.T2.bound(centred, target), rel=1e-6)


def test_a_penalty_of_another_height_is_the_same_with_another_lam():
    problem, target = _problem()
    double = problem.with_penalty(Log(0.3).scaled(1.0, 2.0)).with_lam(problem.lam / 2)
    for theorem in (theorems.T2, theorems.T4, theorems.T13, theorems.T14):
        assert theorem.bound(double, target) == pytest.approx(theorem.bound(problem, target), rel=1e-5)


def test_a_users_penalty_is_labelled_an_estimate():
    from concave_sparsity import Penalty

    class Root(Penalty):
        def value(self, t):
            return ((t + 0.5) ** 0.5 - 0.5**0.5) / (1.5**0.5 - 0.5**0.5)

        def derivative(self, t):
            return 0.5 * (t + 0.5) ** -0.5 / (1.5**0.5 - 0.5**0.5)

    problem, target = _problem(penalty=Root())
    verdict = theorems.T2.check(problem, target, solve(problem, target))
    assert verdict.holds
    assert not verdict.certified
    assert not verdict.constants["c"].certified
    assert "estimate" in verdict.explain()
    assert theorems.T2.check(problem.with_penalty(Log(0.3)), target).certified


@pytest.mark.parametrize(
    ("target", "solution", "match"),
    [
        ([1, 0], None, "one entry a feature"),
        ([0.5, 0, 0, 0, 0, 0], None, "threshold a relaxed mask"),
        ([1, 0, 0, 0, 0, 0], np.full(6, 2.0), "outside"),
        ([1, 0, 0, 0, 0, 0], np.full(6, np.nan), "outside"),
        ([1, 0, 0, 0, 0, 0], np.zeros(5), "shape"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(target, solution, match):
    problem, _ = _problem()
    with pytest.raises(ValueError, match=match):
        theorems.check_all(problem, target, solution)


def test_bad_options_are_refused():
    problem, target = _problem()
    with pytest.raises(ValueError, match="support_floor"):
        theorems.T4.check(problem, target, support_floor=1.0)
    with pytest.raises(ValueError, match="signs"):
        theorems.T4.check(problem, target, signs="sometimes")


def test_a_false_conclusion_is_called_a_failure():
    verdict = theorems.Verdict("T0", "t", "s", (), bound=1.0, measured=2.0, conclusion=False)
    assert verdict.holds is False
    assert verdict.status == "FAILS"
    missed = theorems.Verdict("T0", "t", "s", (theorems.Hypothesis.below("x", 2.0, 1.0),), conclusion=False)
    assert missed.holds is None
    assert missed.status == "does not apply"


def test_sparse_float32_and_fortran_designs_give_the_same():
    from scipy import sparse

    problem, target = _problem()
    X, y = problem.X, problem.y
    variants = [sparse.csc_array(X), np.asfortranarray(X)]
    for variant in variants:
        other = MaskProblem(variant, y, penalty=Log(0.3), lam=0.02)
        assert theorems.T4.bound(other, target) == pytest.approx(theorems.T4.bound(problem, target), rel=1e-9)
    single = MaskProblem(X.astype(np.float32), y, penalty=Log(0.3), lam=0.02)
    assert theorems.T4.bound(single, target) == pytest.approx(theorems.T4.bound(problem, target), rel=1e-3)


def test_a_decay_lost_beside_the_data_still_gets_a_verdict():
    rng = np.random.default_rng(0)
    X, target = 1e8 * rng.standard_normal((4, 6)), (np.arange(6) < 5).astype(float)
    problem = MaskProblem(X, X @ target, penalty=Log(0.3), lam=0.02)
    verdict = theorems.T17.check(problem, mask=target, weights=np.ones(6), weight_decay=1e-3)
    assert verdict.status in ("holds", "does not apply")


def test_a_verdict_tells_in_a_line_what_was_found():
    problem, target = _problem()
    verdicts = {v.theorem: v for v in theorems.check_all(problem, target, solve(problem))}
    assert verdicts["T2"].finding.startswith("||m - target||_2: ")
    assert ", bound " in verdicts["T2"].finding
    assert verdicts["T11"].finding == "no weight decay was given"
    assert verdicts["T16"].finding.startswith("needs a penalty that is piecewise linear")
    assert "[NO] weight decay: not given" in verdicts["T11"].explain()
    assert "at most" in theorems.T2.check(problem, target).finding
    false = theorems.Verdict("T0", "t", "s", (), quantity="q", bound=1.0, measured=2.0, conclusion=False)
    assert false.finding == "q: 2, bound 1. a conclusion is false"
    missed = theorems.Hypothesis.above("mu", 0.0, 1.0)
    assert missed.shortfall == "mu must be > 1, is 0"


def test_a_wide_problem_is_evaluated_in_reasonable_time():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 1500))
    target = (np.arange(1500) < 3).astype(float)
    problem = MaskProblem(X, X @ target, penalty=Log(0.05), lam=0.1)
    verdicts = theorems.check_all(problem, target, solve(problem), steps=10)
    assert all(v.holds is not False for v in verdicts)
    assert orthogonal([1.0], [0.0], 1.0, Log(0.1), 0.1).n_features == 1

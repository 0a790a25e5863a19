"""T2: error of every point no worse than the target."""

import numpy as np
import pytest
from theorem_strategies import (
    cases,
    claiming,
    level_points,
    margin_record,
    orthogonal,
    search,
    solve,
    thorough,
)

from concave_sparsity import L1, MCP, Log
from convex_analysis import theorems
from convex_analysis.theorems.level_set_bound import closed_bound, sharp_bound


@thorough(40)
def test_no_point_below_the_target_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in [solve(case.problem, case.target), *level_points(case)]:
            yield theorems.T2.check(case.problem, case.target, point)

    margins = search(cases(), attempt, count)
    record_property(*margin_record("T2", margins))
    assert len(margins) > 3 * count
    assert max(margins) > 0.5


@thorough(15)
def test_with_fewer_samples_the_known_signs_supply_the_convexity(count, record_property):
    def attempt(case):
        for point in level_points(case, 4):
            yield theorems.T2.check(case.problem, case.target, point, signs="always")

    margins = search(cases(samples_per_feature=(0.6, 0.8), lams=(-3, 0)), attempt, count)
    record_property(*margin_record("T2 n < d", margins))
    assert len(margins) > count / 3


@pytest.mark.parametrize("penalty", [L1(), MCP(1.0), MCP(1.5), MCP(4.0)], ids=repr)
@pytest.mark.parametrize("noise", [0.0, 0.5, -0.3])
def test_it_is_attained_by_l1_and_mcp_on_orthogonal_designs(penalty, noise):
    target, lam, mu = np.array([1.0, 1.0, 0.0, 0.0]), 0.1, 1.3
    c = penalty.curvature
    problem = orthogonal(target, noise * lam * target, mu, penalty, lam)
    distance = 2 * lam * max(0.0, 1 + noise - c) / (mu - 2 * lam * c)
    m = target - distance * target
    verdict = theorems.T2.check(problem, target, m)
    assert verdict.holds
    assert verdict.measured == pytest.approx(verdict.bound, rel=1e-5, abs=1e-6)
    assert verdict.quantities["closed form with c"] == pytest.approx(distance * np.sqrt(2), abs=1e-12)


def test_without_the_objective_hypothesis_it_fails():
    target = np.array([1.0, 1.0, 0.0])
    problem = orthogonal(target, np.zeros(3), 1.0, Log(0.1), 0.05)
    verdict = theorems.T2.check(problem, target, np.array([0.0, 0.0, 1.0]))
    assert not verdict.applies
    assert verdict.conclusion is False
    assert "F(m) - F(target)" in verdict.explain()


def test_with_an_overstated_curvature_it_fails():
    target = np.array([1.0, 1.0, 0.0])
    problem = orthogonal(target, np.zeros(3), 1.0, claiming(L1(), curvature=0.9), 0.2)
    verdict = theorems.T2.check(problem, target, np.array([0.65, 0.65, 0.0]))
    assert verdict.applies
    assert verdict.holds is False
    assert verdict.status == "FAILS"


def test_without_the_known_signs_it_fails():
    # n < d: a point outside the box fits as well as the target, at any distance.
    rng = np.random.default_rng(3)
    from convex_analysis import MaskProblem

    target = np.array([1.0, 0.0, 0.0])
    for _ in range(100):
        X = rng.standard_normal((2, 3))
        problem = MaskProblem(X, X @ target, penalty=L1(), lam=1e-3)
        verdict = theorems.T2.check(problem, target)
        if np.isfinite(verdict.bound) and verdict.bound < 1:
            break
    kernel = np.linalg.svd(X)[2][-1]
    outside = target + 10 * kernel
    assert problem.data_fit(outside) <= problem.data_fit(target) + 1e-12
    assert np.linalg.norm(outside - target) > verdict.bound


def test_the_sharp_form_is_never_above_the_closed_one():
    rng = np.random.default_rng(0)
    for _ in range(300):
        d = int(rng.integers(1, 8))
        support = rng.random(d) < 0.5
        gradient = rng.standard_normal(d) * rng.choice([0.0, 0.01, 0.1])
        lam, mu, c = 10.0 ** rng.uniform(-2, 0), rng.uniform(0.1, 3), rng.uniform(0, 1)
        if not support.any() or (-gradient[~support]).max(initial=-np.inf) > lam:
            continue
        noise = gradient[support].max() / lam
        sharp, _ = sharp_bound(gradient, support, lam, mu, c)
        for used in (0.0, c):
            assert sharp <= closed_bound(noise, lam, int(support.sum()), mu, used) * (1 + 1e-12)


def test_it_explains_itself_and_survives_json():
    import json

    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.array([0.01, 0.0]), 1.0, Log(0.1), 0.05)
    verdict = theorems.T2.check(problem, target, solve(problem, target))
    text = verdict.explain()
    assert "T2" in text
    assert "docs/theory.md#t2" in text
    assert f"{verdict.bound:.6g}" in text
    assert json.loads(json.dumps(verdict.to_dict()))["holds"] is True
    assert theorems.T2.bound(problem, target) == pytest.approx(verdict.bound, rel=1e-5)
    assert [h.name for h in theorems.T2.hypotheses(problem, target)]

"""T16: how many steps majorize-minimize takes."""

import numpy as np
import pytest
from hypothesis import strategies as st
from theorem_strategies import cases, margin_record, search, thorough

from concave_sparsity import L1, MCP, SCAD, CappedL1, Log
from convex_analysis import MaskProblem, theorems
from convex_analysis.theorems.iterates import iterate


@thorough(50)
def test_piecewise_linear_penalties_end(count, record_property):
    def attempt(case):
        yield theorems.T16.check(case.problem, start=case.rng.uniform(0, 1, case.target.size), steps=2000)

    linear = st.one_of(st.just(L1()), st.builds(CappedL1, st.floats(0.05, 1.5)))
    margins = search(cases(penalty=linear, lams=(-3, 0.3)), attempt, count)
    record_property(*margin_record("T16 linear", margins))
    assert len(margins) > count / 2


@thorough(50)
def test_piecewise_quadratic_penalties_contract_as_predicted(count, record_property):
    def attempt(case):
        yield theorems.T16.check(case.problem, start=case.rng.uniform(0, 1, case.target.size))

    bent = st.one_of(
        st.builds(MCP, st.floats(0.3, 3.0)), st.builds(SCAD, st.floats(1.5, 4.0), st.floats(0.1, 0.6))
    )
    strategy = cases(
        penalty=bent,
        losses=("linear",),
        samples_per_feature=(2.0, 6.0),
        lams=(-2, 0),
        noises=(0.0, 0.3),
        extreme=False,
    )
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T16 quadratic", margins))
    assert len(margins) > count / 30  # most limits are binary or degenerate
    assert max(margins) > 0.9


def _scalar(y, penalty, lam):
    return MaskProblem(np.eye(1), np.array([y]), penalty=penalty, lam=lam)


def test_mcp_never_ends_in_one_dimension():
    lam, y = 0.1, 0.6
    steps = iterate(_scalar(y, MCP(1.0), lam), np.ones(1), 0.0, 15)
    limit = (y - 2 * lam) / (1 - 2 * lam)
    errors = steps.points[:, 0] - limit
    np.testing.assert_allclose(errors[1:9] / errors[:8], 2 * lam, rtol=1e-6)
    verdict = theorems.T16.check(_scalar(y, MCP(1.0), lam))
    assert verdict.holds
    assert verdict.bound == pytest.approx(2 * lam)
    assert verdict.margin == pytest.approx(1.0, rel=1e-6)


def test_mcp_may_not_even_reach_the_face_of_its_limit():
    lam = 0.2
    steps = iterate(_scalar(2 * lam, MCP(1.0), lam), np.ones(1), 0.0, 10)
    np.testing.assert_allclose(steps.points[:, 0], (2 * lam) ** np.arange(steps.points.shape[0]), rtol=1e-9)
    assert (steps.points > 0).all()
    verdict = theorems.T16.check(_scalar(2 * lam, MCP(1.0), lam), steps=10)
    assert not verdict.applies  # degenerate


def test_on_flat_pieces_mcp_ends():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    problem = MaskProblem(X, X @ np.array([0.9, 0.8, 0.95, 0, 0, 0]), penalty=MCP(0.6), lam=0.1)
    verdict = theorems.T16.check(problem)
    assert verdict.holds
    assert verdict.quantities["free coordinates at the end"] == 3
    assert verdict.quantities["free coordinates on a bent piece"] == 0
    assert verdict.quantities["steps"] <= 4
    assert verdict.bound == 0.0


def test_one_newton_step_on_the_piece_lands_on_the_limit():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 4))
    problem = MaskProblem(X, X @ np.array([0.5, 0.6, 0.4, 0.0]), penalty=MCP(1.0), lam=0.05)
    steps = iterate(problem, np.ones(4), 0.0, 200)
    limit, early = steps.points[-1], steps.points[6]
    free = (early > 0) & (early < 1)
    assert (free == ((limit > 0) & (limit < 1))).all()
    H = (X.T @ X / 40)[np.ix_(free, free)]
    slope = (problem.gradient(early) + problem.weights(early))[free]
    newton = early.copy()
    newton[free] -= np.linalg.solve(H - 0.05 * 2.0 * np.eye(free.sum()), slope)
    assert np.abs(early - limit).max() > 1e-7
    np.testing.assert_allclose(newton, limit, atol=1e-12)


def test_other_penalties_are_not_claimed():
    assert not theorems.T16.check(_scalar(0.5, Log(0.1), 0.1)).applies


def test_the_number_of_weight_vectors_is_what_bounds_the_steps():
    # Without strict decrease a weight vector could repeat: it does not.
    rng = np.random.default_rng(2)
    for seed in range(20):
        X = rng.standard_normal((12, 8))
        problem = MaskProblem(
            X, X @ rng.uniform(0, 1, 8), penalty=CappedL1(0.5), lam=10.0 ** rng.uniform(-3, 0)
        )
        steps = iterate(problem, rng.uniform(0, 1, 8), 0.0, 300)
        assert steps.ended
        assert np.unique(steps.weights, axis=0).shape[0] == steps.weights.shape[0], seed


def test_steps_that_were_not_allowed_are_no_failure_and_many_features_no_overflow():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 1200))
    problem = MaskProblem(X, X @ (rng.random(1200) < 0.02), penalty=CappedL1(0.5), lam=0.01)
    verdict = theorems.T16.check(problem, steps=1)
    assert np.isinf(verdict.bound)
    assert verdict.conclusion is None
    assert verdict.status == "applies"
    assert "give more steps" in verdict.remark


@pytest.mark.parametrize("penalty", [MCP(0.4), SCAD(3.0, 0.2), CappedL1(0.4)])
def test_a_penalty_counts_by_its_pieces_not_by_its_class(penalty):
    problem = MaskProblem(np.eye(2), np.array([1.0, 0.2]), penalty=penalty, lam=0.1)
    plain = theorems.T16.check(problem)
    scaled = theorems.T16.check(problem.with_penalty(penalty.scaled(amplitude=2.0)).with_lam(0.05))
    assert scaled.hypotheses[0].holds  # the one on pieces
    assert [one.holds for one in scaled.hypotheses] == [one.holds for one in plain.hypotheses]
    assert scaled.formula == plain.formula
    assert scaled.bound == pytest.approx(plain.bound, nan_ok=True)

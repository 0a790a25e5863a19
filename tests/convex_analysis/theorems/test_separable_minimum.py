"""T20: a separable lower bound of the global minimum around any point."""

import warnings

import numpy as np
import pytest
from theorem_strategies import cases, grouped, margin_record, orthogonal, search, solve, thorough

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import MaskProblem, RegressionProblem, global_minimum, majorize_minimize, theorems
from convex_analysis.separable_bound import separable_bound


def _least_known(case):
    """Return the lowest of many points: random ones, binary ones, where several runs end."""
    problem, d = case.problem, case.target.size
    points = [case.rng.uniform(0, 1, d) for _ in range(20)]
    points += [case.rng.integers(0, 2, d).astype(float) for _ in range(20)]
    points += [solve(problem, start).x for start in (None, "zero", case.target)]
    return points, min(problem.objective(x) for x in points)


@thorough(20)
def test_no_point_is_below_the_bound(count, record_property):
    def attempt(case):
        points, least = _least_known(case)
        for point in (points[-1], points[-2], points[0], points[20]):
            verdict = theorems.T20.check(case.problem, case.target, point)
            if verdict.applies:
                lower = verdict.quantities["lower bound of min F"]
                assert lower <= least + verdict.tolerance, f"{case.story}\n{verdict.explain()}"
            yield verdict

    margins = search(
        cases(losses=("linear", "logistic", "huber"), samples_per_feature=(1.0, 2.0, 6.0)), attempt, count
    )
    record_property(*margin_record("T20", margins))
    assert len(margins) > count


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("penalty", [Log(0.1), MCP(2.0), Lq(0.5), L1()])
def test_it_certifies_most_solutions_of_signed_problems(penalty, intercept):
    certified = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 12))
        w = np.where(np.arange(12) < 3, rng.choice([-1.0, 1.0], 12) * rng.uniform(0.5, 2, 12), 0.0)
        y = X @ w + 0.3 * rng.standard_normal(40) + 2.0 * intercept
        problem = RegressionProblem(X, y, penalty=penalty, lam=0.05, fit_intercept=intercept)
        solution = solve(problem)
        certified += separable_bound(problem, solution.x, solution.intercept).gap < 1e-6
    assert certified >= 8


def test_it_agrees_with_branch_and_bound():
    rng = np.random.default_rng(1)
    for _ in range(6):
        X = rng.standard_normal((12, 5)) + rng.choice([0.0, 2.0]) * rng.standard_normal((12, 1))
        y = X @ rng.standard_normal(5) + rng.standard_normal(12)
        problem = RegressionProblem(X, y, penalty=Log(0.3), lam=0.1, lower=-3, upper=3)
        best = global_minimum(problem, gap=1e-8)
        for x in (best.x, rng.uniform(-3, 3, 5), np.zeros(5)):
            true = problem.objective(x) - best.objective
            assert separable_bound(problem, x).gap >= true - 1e-7


@thorough(15)
def test_no_point_is_below_the_bound_of_groups(count, record_property):
    def attempt(case):
        problem, d = case.problem, case.target.size
        ends = [solve(problem, start) for start in (None, "zero", case.rng.standard_normal(d))]
        points = [(end.x, end.intercept) for end in ends]
        points += [(x, problem.best_intercept(x)) for x in case.rng.standard_normal((5, d))]
        least = min(problem.objective(*point) for point in points)
        for x, _ in (points[0], points[1], points[-1]):
            verdict = theorems.T20.check(problem, None, x)
            if verdict.applies:
                lower = verdict.quantities["lower bound of min F"]
                assert lower <= least + verdict.tolerance, f"{case.story}\n{verdict.explain()}"
            yield verdict

    margins = search(grouped(), attempt, count)
    record_property(*margin_record("T20 with groups", margins))
    assert len(margins) > count / 2


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(2.0)])
def test_it_certifies_solutions_with_groups(penalty):
    certified = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        group = np.arange(12) // 3
        X = rng.standard_normal((50, 12))
        y = X @ np.where(group < 2, rng.standard_normal(12), 0.0) + 0.3 * rng.standard_normal(50)
        problem = RegressionProblem(X, y, penalty=penalty, lam=0.05, groups=group, fit_intercept=True)
        certified += solve(problem).suboptimality_bound < 1e-6
    assert certified >= 5


def test_with_groups_it_agrees_with_branch_and_bound_and_groups_of_one_with_single_entries():
    rng = np.random.default_rng(1)
    for _ in range(4):
        X = rng.standard_normal((14, 6)) + rng.choice([0.0, 2.0]) * rng.standard_normal((14, 1))
        y = X @ rng.standard_normal(6) + rng.standard_normal(14)
        problem = RegressionProblem(X, y, penalty=Log(0.3), lam=0.1, groups=np.arange(6) // 2)
        best = global_minimum(problem, gap=1e-7)
        for x in (best.x, rng.uniform(-3, 3, 6), np.zeros(6)):
            assert separable_bound(problem, x).gap >= problem.objective(x) - best.objective - 1e-7
        ones = RegressionProblem(X, y, penalty=Log(0.3), lam=0.1, groups=np.arange(6))
        plain = RegressionProblem(X, y, penalty=Log(0.3), lam=0.1)
        x = rng.standard_normal(6)
        assert separable_bound(ones, x).gap == pytest.approx(separable_bound(plain, x).gap, rel=1e-9)


def test_on_orthogonal_designs_it_is_exact():
    rng = np.random.default_rng(0)
    problem = orthogonal(np.array([1.0, 0.0, 1.0]), rng.normal(0, 0.4, 3), 1.0, Log(0.1), 0.1)
    grid = np.linspace(0, 1, 2001)[:, None] * np.ones(3)
    f = 0.5 * (grid - np.array(problem.y) / np.sqrt(3.0)) ** 2 + 0.1 * problem.penalty.value(grid)
    least = f.min(axis=0).sum()
    x = rng.uniform(0, 1, 3)
    assert problem.objective(x) - separable_bound(problem, x).gap == pytest.approx(least, abs=1e-6)


def test_without_curvature_it_says_nothing_or_what_the_box_says():
    rng = np.random.default_rng(0)
    wide = RegressionProblem(rng.standard_normal((5, 9)), rng.standard_normal(5), penalty=Log(0.1), lam=0.1)
    assert separable_bound(wide, np.zeros(9)).gap == np.inf
    assert not theorems.T20.check(wide, None, np.zeros(9)).applies
    logistic = MaskProblem(
        rng.standard_normal((30, 3)), rng.choice([-1.0, 1.0], 30), loss="logistic", penalty=MCP(0.5), lam=0.05
    )
    solution = solve(logistic)
    assert 0.0 <= separable_bound(logistic, solution.x).gap < np.inf


def test_shifted_and_huge_columns_do_not_fool_it():
    """Columns around 1.7e9 that differ by 100: the Gram matrix has lost what tells them apart."""
    X = np.array([[1701188420.0, 1701188476], [1702423538, 1702423568], [1702454172, 1702454324]])
    problem = MaskProblem(X, np.array([56.0, 30, 152]), np.array([-1.0, 1.0]), penalty=Log(0.1), lam=100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = majorize_minimize(problem)
    for x in (solution.x, np.zeros(2), np.ones(2)):
        lower = problem.objective(x) - separable_bound(problem, x).gap
        assert lower <= 199.67979  # F(0.99155, 0.99155) in rational arithmetic


class Stuck(Log):
    def interval_prox(self, w, step, lower, upper, xp):
        return 0.0 * w


def test_with_a_false_penalty_it_fails():
    """A prox that stays at zero where the penalty would let go: the bound is then a false one."""
    groups = RegressionProblem(
        np.sqrt(4.0) * np.eye(4), 4.0 * np.ones(4), penalty=Stuck(0.1), lam=0.01, groups=[0, 0, 1, 1]
    )
    lower = -separable_bound(groups, np.zeros(4)).gap + groups.objective(np.zeros(4))
    assert groups.objective(2.0 * np.ones(4)) < lower
    problem = orthogonal(np.array([1.0]), np.zeros(1), 1.0, Stuck(0.1), 0.01)
    verdict = theorems.T20.check(problem, [1], np.zeros(1))
    assert verdict.applies
    assert verdict.holds is False

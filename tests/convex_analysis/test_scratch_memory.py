"""Memory handed on from solve to solve: reused, and never shared by two that are alive."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from concave_sparsity import MCP, Log, Lq
from convex_analysis import RegressionProblem, majorize_minimize
from convex_analysis.solver.working_set import Owner, borrow


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_only_after_its_owner():
    first, second = Owner(), Owner()
    one = borrow(first, (300, 200), np.float64)
    one[:] = 1.0
    other = borrow(second, (200, 300), np.float64, "F")
    other[:] = 2.0
    assert not np.shares_memory(one, other)
    assert (one == 1.0).all()
    assert other.flags.f_contiguous
    freed = address(one)
    del one, first
    again = borrow(Owner(), (290, 200), np.float64)
    assert address(again) == freed
    assert not np.shares_memory(again, other)


def test_solves_in_threads_and_one_after_the_other_agree_to_the_bit():
    def solution(seed):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((80 + 10 * (seed % 5), 350)).astype([np.float32, np.float64][seed % 2])
        X = np.asfortranarray(X) if seed % 3 else X
        y = X[:, :8].sum(axis=1) + 0.5 * rng.standard_normal(len(X))
        loss = "linear" if seed % 4 else "logistic"
        y = y if loss == "linear" else np.sign(y)
        penalty = [Log(0.1), MCP(3.0), Lq(0.5)][seed % 3]
        found = majorize_minimize(RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.05))
        return found.x.tobytes(), found.objective, found.gap, found.suboptimality_bound

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(solution, range(12)))
    assert together == [solution(seed) for seed in range(12)]

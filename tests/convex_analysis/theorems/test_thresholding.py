"""T5: from a small error to the exact mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorem_strategies import cases, margin_record, search, thorough

from convex_analysis import MaskProblem, theorems
from convex_analysis.theorems.thresholding import largest_entries


@thorough(100)
def test_hamming_distances_obey_their_bounds(count, record_property):
    def attempt(case):
        d = case.target.size
        for point in (
            case.rng.uniform(0, 1, d),
            np.clip(case.target + case.rng.normal(0, 0.3, d), 0, 1),
            np.abs(case.target - case.rng.choice([0.0, 0.5, 0.51], d, p=[0.6, 0.2, 0.2])),
        ):
            yield theorems.T5.check(case.problem, case.target, point)

    margins = search(cases(), attempt, count)
    record_property(*margin_record("T5", margins))
    assert max(margins) == 1.0


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_an_error_below_one_over_root_two_gives_the_mask_of_the_right_density(d, seed):
    rng = np.random.default_rng(seed)
    target = (rng.random(d) < 0.5).astype(float)
    h = rng.standard_normal(d)
    m = np.clip(target + 0.7071 * rng.random() * h / np.linalg.norm(h), 0, 1)
    assert np.linalg.norm(m - target) < 1 / np.sqrt(2)
    np.testing.assert_array_equal(largest_entries(m, int(target.sum())), target)
    if np.linalg.norm(m - target) < 0.5:
        np.testing.assert_array_equal(m > 0.5, target)


def test_both_constants_are_attained():
    problem = MaskProblem(np.eye(2), np.zeros(2))
    target = np.array([1.0, 0.0])
    one_wrong = theorems.T5.check(problem, target, np.array([0.5, 0.0]))
    assert (one_wrong.measured, one_wrong.bound) == (1.0, 1.0)
    # A tie between an entry of the support and one off it, broken the wrong way: two errors at ||h||^2 = 1/2.
    tie = np.array([0.5, 0.5])
    swapped = theorems.T5.check(problem, target[::-1], tie)
    assert swapped.quantities["Hamming distance of the k largest entries"] == 2.0
    assert swapped.quantities["its bound 2 floor(2 ||h||_2^2)"] == 2.0


@pytest.mark.parametrize(("factor", "entry"), [(3.9, 0.5), (3.0, 0.55)])
def test_a_smaller_factor_would_be_false(factor, entry):
    h = np.array([-(1 - entry), 0.0]) if entry <= 0.5 else np.array([0.0, entry])
    target = np.array([1.0, 0.0])
    wrong = np.abs((target + h > 0.5) - target).sum()
    assert wrong > factor * (h @ h)

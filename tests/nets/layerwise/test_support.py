import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.layerwise.support import choose, damped, density_count, refit, relative_error, row_counts


@given(
    st.integers(1, 7), st.integers(1, 13), st.floats(0.01, 1.0), st.sampled_from(["layer", "row"]), st.data()
)
def test_exactly_the_count_is_kept_and_no_left_out_score_is_above_a_kept_one(rows, d, density, by, data):
    scores = np.array(data.draw(st.lists(st.integers(0, 4), min_size=rows * d, max_size=rows * d)), float)
    scores = scores.reshape(rows, d)
    mask = choose(scores, density, by=by)
    assert mask.sum() == density_count(density, rows * d)
    parts = [(scores.ravel(), mask.ravel())] if by == "layer" else list(zip(scores, mask))
    for values, kept in parts:
        for i, j in itertools.product(np.flatnonzero(kept), np.flatnonzero(~kept)):
            assert (values[i], -i) > (values[j], -j)  # of equal ones the first
    if by == "row":
        assert np.ptp(mask.sum(axis=1)) <= 1


@pytest.mark.parametrize(("n", "m", "d"), [(2, 4, 12), (2, 4, 11), (2, 4, 9), (1, 4, 6), (3, 8, 19)])
def test_of_every_m_the_n_largest_are_kept_and_of_the_rest_as_many_as_fit(n, m, d):
    scores = np.random.default_rng(0).random((5, d))
    mask = choose(scores, f"{n}:{m}")
    for row, kept in zip(scores, mask):
        for start in range(0, d, m):
            group, here = row[start : start + m], kept[start : start + m]
            assert set(np.flatnonzero(here)) == set(np.argsort(-group)[: min(n, len(group))])


def test_row_counts_sum_to_the_count_of_the_layer():
    assert row_counts(0.37, 11, 7).sum() == density_count(0.37, 77)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5, "4:2", "2:2", "half", "0:4"])
def test_what_is_no_density_is_refused(density):
    with pytest.raises(ValueError, match=r"density|granularity"):
        choose(np.ones((2, 4)), density)


def test_refitted_values_are_the_least_squares_on_the_support():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((50, 9)), rng.standard_normal((4, 9))
    mask = rng.random((4, 9)) < 0.5
    mask[2] = False
    fitted = refit(w, x.T @ x / 50, mask)
    for row, dense, kept in zip(fitted, w, mask):
        assert (row[~kept] == 0).all()
        np.testing.assert_allclose(row[kept], np.linalg.lstsq(x[:, kept], x @ dense, rcond=None)[0])


def test_the_relative_error_is_that_of_the_outputs():
    rng = np.random.default_rng(2)
    x, w, v = rng.standard_normal((30, 6)), rng.standard_normal((3, 6)), rng.standard_normal((3, 6))
    direct = np.linalg.norm(x @ (v - w).T) ** 2 / np.linalg.norm(x @ w.T) ** 2
    assert relative_error(w, v, x.T @ x) == pytest.approx(direct)


def test_inputs_that_are_all_zero_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="positive mean square"):
        damped(np.zeros((3, 3)), 0.01)


def test_a_singular_support_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="raise the ridge"):
        refit(np.ones((1, 2)), np.ones((2, 2)), np.ones((1, 2), dtype=bool))

"""Strong convexity: below the truth, also where rounding is at work."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convex_analysis import MaskProblem
from convex_analysis.constants import (
    curvature_factor,
    dense_design,
    diagonal_curvature,
    row_curvature_on_box,
    strong_convexity,
)


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_the_eigenvalue_and_the_diagonal_are_lower_bounds(d, n, seed, duplicate):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-4, 4, d)
    if duplicate and d > 1:
        factor[:, 1] = factor[:, 0]
    gram = factor.T @ factor
    mu, delta = strong_convexity(factor), diagonal_curvature(factor)
    assert mu.certified
    scale = np.trace(gram)
    h = rng.standard_normal((50, d))
    for x in (h, h / np.linalg.norm(factor, axis=0).clip(1e-300)):
        square = np.einsum("td,td->t", x @ factor.T @ factor, x)
        assert (
            square >= mu.value * (x**2).sum(axis=1) * (1 - 1e-9) - 1e-12 * scale * (x**2).sum(axis=1)
        ).all()
        assert (square >= (delta * x**2).sum(axis=1) * (1 - 1e-9) - 1e-9 * square.max()).all()
    if n < d or (duplicate and d > 1):
        assert mu.value <= 1e-12 * scale
        assert delta.max() <= 1e-12 * scale


def test_the_diagonal_follows_the_scale_of_the_columns():
    rng = np.random.default_rng(0)
    factor, scale = rng.standard_normal((50, 4)), np.array([1e-3, 1.0, 1e2, 0.0])
    np.testing.assert_allclose(
        diagonal_curvature(factor * scale)[:3] / diagonal_curvature(factor[:, :3]), scale[:3] ** 2, rtol=1e-9
    )
    assert diagonal_curvature(factor * scale)[3] == 0.0
    assert strong_convexity(factor * scale).value == 0.0


def test_no_feature_and_no_curvature():
    assert strong_convexity(np.zeros((3, 0))).value == np.inf
    assert strong_convexity(np.zeros((3, 2))).value == 0.0
    problem = MaskProblem(np.eye(2), np.full(2, 3.0), loss="huber")  # linear on the whole box
    design = dense_design(problem)
    assert not curvature_factor(problem, design, row_curvature_on_box(problem, design)).any()

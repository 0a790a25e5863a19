"""The doubly nonnegative relaxation: certified, at least the smallest eigenvalue, exact on small cones."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convex_analysis.constants import orthant_minimum, restricted_eigenvalue


def exact(matrix, support):
    """Return min h'Bh over unit h of the orthant, by the eigenvectors of all principal submatrices."""
    sign = np.where(support, -1.0, 1.0)
    signed = matrix * np.outer(sign, sign)
    best = np.inf
    for size in range(1, matrix.shape[0] + 1):
        for kept in itertools.combinations(range(matrix.shape[0]), size):
            values, vectors = np.linalg.eigh(signed[np.ix_(kept, kept)])
            for value, vector in zip(values, vectors.T, strict=True):
                if (vector >= -1e-12).all() or (vector <= 1e-12).all():
                    best = min(best, value)
    return best


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_up_to_four_features_it_is_exact_on_the_orthant(d, n, seed):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, d))
    matrix, support = factor.T @ factor, rng.random(d) < 0.5
    bound = restricted_eigenvalue(matrix, support)
    truth = exact(matrix, support)
    assert bound.certified
    assert bound.value <= truth + 1e-12
    # Up to four dimensions a copositive matrix is a sum of a semidefinite and a nonnegative one
    # (Diananda 1962).
    assert bound.value == pytest.approx(truth, abs=1e-5 * np.trace(matrix))


@settings(max_examples=25)
@given(st.integers(2, 9), st.floats(0.2, 4), st.integers(0, 2**32 - 1))
def test_it_holds_on_the_cone_and_beats_the_plain_constants(d, alpha, seed):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((max(1, (2 * d) // 3), d))
    matrix = factor.T @ factor
    support = np.arange(d) < max(1, d // 3)
    whole, cone = restricted_eigenvalue(matrix, support), restricted_eigenvalue(matrix, support, alpha)
    scale = np.trace(matrix)
    assert whole.value >= np.linalg.eigvalsh(matrix)[0] - 1e-12 * scale
    assert cone.value >= whole.value - 1e-5 * scale
    assert whole.value >= orthant_minimum(factor, support).value - 1e-5 * scale
    for _ in range(200):
        x = rng.exponential(1, d) * (rng.random(d) < 0.6)
        if not x[support].sum():
            continue
        ratio = x[~support].sum() / (alpha * x[support].sum())
        if ratio > 1:
            x[~support] /= ratio
        h = np.where(support, -x, x)
        assert h @ matrix @ h >= cone.value * (h @ h) - 1e-12 * scale
    shifted = restricted_eigenvalue(matrix, support, alpha, shift=0.3)
    assert shifted.value == pytest.approx(cone.value - 0.3, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["shifted", "near-duplicate", "huge"]))
def test_it_is_below_what_rational_arithmetic_finds_for_bad_columns(seed, kind):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 6)), int(rng.integers(2, 5))
    factor = np.round(8.0 * rng.standard_normal((n, d)))
    if kind == "shifted":
        factor += np.round(10.0 ** rng.uniform(4, 9))
    elif kind == "near-duplicate":
        factor = factor[:, :1] * 2.0**20 + np.round(rng.standard_normal((n, d)))
    else:
        factor *= np.round(10.0 ** rng.uniform(4, 9, d))
    support = rng.random(d) < 0.5
    bound = restricted_eigenvalue(factor.T @ factor, support, rows=n).value
    sign = np.where(support, -1, 1)
    flat = np.linalg.svd(factor)[2][-1]
    for h in [np.abs(flat), *np.abs(rng.standard_normal((20, d))), *np.eye(d), np.ones(d)]:
        signed = [Fraction(float(value)) * int(s) for value, s in zip(h, sign)]
        image = [sum(Fraction(float(a)) * value for a, value in zip(row, signed)) for row in factor]
        quotient = sum(value * value for value in image) / sum(value * value for value in signed)
        assert Fraction(bound) <= quotient

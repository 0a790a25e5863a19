"""Every fault of an input gets one sentence, never a message of numpy or Python."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import Log
from convex_analysis import CopyWarning, MaskProblem, RegressionProblem, majorize_minimize
from convex_analysis.problems import validation

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = X[:, 0] + 0.1 * RNG.standard_normal(12)
HOLED = np.where(np.arange(48).reshape(12, 4) == 5, np.nan, X)

FAULTS = [
    ({"X": HOLED}, ValueError, "X contains NaN or infinity"),
    ({"X": sparse.csr_matrix(HOLED)}, ValueError, "X contains NaN or infinity"),
    ({"X": np.where(X > 1, np.inf, X)}, ValueError, "X contains NaN or infinity"),
    ({"X": X[:0], "y": Y[:0]}, ValueError, "X is empty"),
    ({"X": X[:, :0]}, ValueError, "X is empty"),
    ({"X": sparse.csc_matrix((12, 0))}, ValueError, "X is empty"),
    ({"X": X[:, 0]}, ValueError, r"reshape a single feature with X.reshape\(-1, 1\)"),
    ({"X": X[None]}, ValueError, "X must have two dimensions"),
    ({"X": X.astype(np.float16)}, TypeError, "X is float16"),
    ({"X": X.astype(object)}, TypeError, "X has dtype object"),
    ({"X": X + 0j}, TypeError, "X has dtype complex128"),
    ({"X": [[1.0, 2.0], [3.0]]}, ValueError, "X makes no array of numbers"),
    ({"X": np.ma.masked_greater(X, 1.0)}, ValueError, "X has masked entries"),
    ({"X": 1e307 * np.ones((12, 4)), "y": 1e5 * np.ones(12)}, ValueError, "X .* and y overflow"),
    ({"y": Y[:5]}, ValueError, r"y must have shape \(12,\)"),
    ({"y": Y[:, None]}, ValueError, r"y must have shape \(12,\)"),
    ({"y": np.where(Y > 0, np.nan, Y)}, ValueError, "y contains NaN or infinity"),
    ({"y": Y.astype(object)}, TypeError, "y has dtype object"),
    ({"y": Y.astype(np.float16)}, TypeError, "y has dtype float16"),
    ({"y": [1.0, [2.0]] * 6}, ValueError, "y makes no array of numbers"),
    ({"y": 1e200 * Y}, ValueError, "y is as large as .*: its loss overflows; divide y by"),
    ({"loss": "logistic"}, ValueError, "labels -1 and 1, or 0 and 1"),
    ({"loss": "logistic", "y": np.where(Y > 0, 2.0, 1.0)}, ValueError, "y holds 1, 2"),
    ({"loss": "hinge"}, ValueError, "Unknown loss 'hinge'"),
    ({"sample_weight": -np.ones(12)}, ValueError, "sample_weight must not be negative"),
    ({"sample_weight": np.zeros(12)}, ValueError, "sample_weight sums to zero"),
    ({"sample_weight": np.full(12, np.nan)}, ValueError, "sample_weight contains NaN"),
    ({"sample_weight": np.ones(5)}, ValueError, r"sample_weight must have shape \(12,\)"),
    ({"lower": 1.0, "upper": 0.0}, ValueError, "No value lies between lower = 1 and upper = 0"),
    ({"lower": 0.5, "upper": -0.5}, ValueError, "No value lies between"),
    ({"lower": np.inf}, ValueError, "No value lies between"),
    ({"lower": np.nan}, ValueError, "lower contains NaN"),
    ({"lower": "a"}, TypeError, "lower has dtype"),
    ({"upper": None}, TypeError, "upper has dtype object"),
    ({"lower": np.zeros(3)}, ValueError, r"lower must be a scalar or have shape \(4,\)"),
    ({"lower": [[0.0], [0.0, 0.0]]}, ValueError, "lower makes no array of numbers"),
    ({"lam": -1.0}, ValueError, "lam must be finite and not negative"),
    ({"lam": np.inf}, ValueError, "lam must be finite and not negative"),
    ({"lam": "0.1"}, TypeError, "lam must be a real number"),
    ({"lam": np.array([0.1, 0.2])}, TypeError, "lam must be a real number"),
    ({"penalty": "log"}, TypeError, "penalty_from_name"),
    ({"penalty": Log}, TypeError, "an instance, not the class"),
    ({"fit_intercept": "no"}, TypeError, "fit_intercept must be True or False, got 'no'"),
    ({"fit_intercept": None}, TypeError, "fit_intercept must be True or False, got None"),
]


@pytest.mark.parametrize(("changed", "error", "words"), FAULTS)
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_a_fault_gets_a_sentence(kind, changed, error, words):
    given = {"X": X, "y": Y, "penalty": Log(0.1), **changed}
    with pytest.raises(error, match=words):
        kind(given.pop("X"), given.pop("y"), **given)


@pytest.mark.parametrize("factor", [-np.ones(4), np.ones(3), np.full(4, np.nan)], ids=str)
def test_wrong_penalty_factors(factor):
    with pytest.raises(ValueError, match="penalty_factor"):
        RegressionProblem(X, Y, penalty_factor=factor)


@pytest.mark.parametrize("theta", [np.ones(3), np.full(4, np.nan), 2.0], ids=str)
def test_wrong_theta(theta):
    with pytest.raises(ValueError, match="theta"):
        MaskProblem(X, Y, theta)


@pytest.mark.parametrize("method", ["objective", "gradient", "stationarity", "data_fit", "predictor"])
@pytest.mark.parametrize("point", [np.ones(3), np.ones((4, 1)), "abcd", np.full(4, np.nan), None], ids=str)
def test_a_point_of_another_shape(method, point):
    with pytest.raises(ValueError, match=r"x (must be a vector|contains NaN)"):
        getattr(RegressionProblem(X, Y), method)(point)


LIKE_X = {
    "list": lambda X: X.tolist(),
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1][::-1],
    "big endian": lambda X: X.astype(">f8"),
    "csc": sparse.csc_matrix,
    "csr": sparse.csr_matrix,
    "coo array": sparse.coo_array,
    "lil": sparse.lil_matrix,
    "matrix": lambda X: sparse.csc_matrix(X).todense(),
}


@pytest.mark.parametrize("form", LIKE_X)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_every_form_of_the_same_numbers_means_the_same(form):
    expected = majorize_minimize(RegressionProblem(X, Y, penalty=Log(0.1), lam=0.02))
    found = majorize_minimize(RegressionProblem(LIKE_X[form](X), Y.tolist(), penalty=Log(0.1), lam=0.02))
    np.testing.assert_allclose(found.x, expected.x, atol=1e-7)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32])
def test_every_kind_of_number(dtype):
    counts = RNG.integers(0, 2, (12, 4))
    expected = majorize_minimize(RegressionProblem(counts, Y, penalty=Log(0.1), lam=0.02))
    for form in (np.asarray, sparse.csc_matrix):
        found = majorize_minimize(
            RegressionProblem(form(counts.astype(dtype)), Y, penalty=Log(0.1), lam=0.02)
        )
        np.testing.assert_allclose(found.x, expected.x, atol=1e-7)


class TestCopies:
    """X is never copied, but once where its dtype or its order demands it; that is announced."""

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray, sparse.csc_matrix])
    def test_none_where_none_is_needed(self, form, dtype, monkeypatch):
        monkeypatch.setattr(validation, "COPY_WARNING_BYTES", 0)
        given = form(X.astype(dtype))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            problem = RegressionProblem(given, Y)
        if sparse.issparse(given):
            assert np.shares_memory(problem.X.data, given.data)
            assert np.shares_memory(problem.X.indices, given.indices)
        else:
            assert np.shares_memory(problem.X, given)
        assert problem.with_lam(0.2).with_bounds(0, 1).with_penalty(Log(1.0)).X is problem.X
        assert problem.with_sample_weight(np.ones(12)).X is problem.X

    @pytest.mark.parametrize(
        "form",
        [
            lambda X: X.astype(int),
            lambda X: np.repeat(X, 2, axis=1)[:, ::2],
            sparse.csr_matrix,
            lambda X: sparse.csc_matrix(X.astype(int)),
        ],
        ids=["integers", "strided", "csr", "sparse integers"],
    )
    def test_one_is_announced(self, form, monkeypatch):
        monkeypatch.setattr(validation, "COPY_WARNING_BYTES", 0)
        with pytest.warns(CopyWarning, match=r"X was copied once \(.* MiB\); pass"):
            RegressionProblem(form(X), Y)

    def test_a_read_only_array_is_used_as_it_is(self):
        fixed, targets = X.copy(), Y.copy()
        fixed.flags.writeable = targets.flags.writeable = False
        problem = RegressionProblem(fixed, targets, penalty=Log(0.1), lam=0.02)
        assert np.shares_memory(problem.X, fixed)
        assert majorize_minimize(problem).converged

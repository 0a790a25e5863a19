"""Hard inputs: each is solved, with certificates that hold, whatever the loss and the form of X."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import MaskProblem, RegressionProblem, Status, majorize_minimize

LOSSES = ["linear", "logistic", "huber"]
FORMS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csc": sparse.csc_matrix,
    "csr": sparse.csr_matrix,
    "csc float32": lambda X: sparse.csc_matrix(X.astype(np.float32)),
}
RNG = np.random.default_rng(0)
BASE = RNG.standard_normal((24, 5)).astype(np.float32).astype(np.float64)
Y = BASE[:, 0] - BASE[:, 1] + 0.3 * RNG.standard_normal(24)

DESIGNS = {
    "duplicated columns": np.hstack([BASE, BASE, -BASE]),
    "constant columns": np.hstack([BASE, np.ones((24, 1)), np.full((24, 1), 0.1), np.zeros((24, 1))]),
    "all columns constant": np.ones((24, 3)),
    "all zero": np.zeros((24, 3)),
    "columns of length 1e-8 and 1e8": BASE * np.array([1e-8, 1e8, 1.0, 1.0, 1.0]),
    "one sample": BASE[:1],
    "one feature": BASE[:, :1],
    "one sample and feature": BASE[:1, :1],
    "more features than samples": BASE[:3],
}


def targets(loss, n):
    """Return targets of n samples; labels of both classes where there are two samples."""
    y = Y[:n]
    return np.where(y > np.median(y), 1.0, -1.0) if loss == "logistic" else y


def solved(problem, start=None, separable=False, **settings):
    """Solve without a warning, and check everything that a solution promises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if separable else "error")
        found = majorize_minimize(problem, start, **settings)
    # Where the labels are separable and nothing holds the coefficients, no minimiser exists.
    assert found.status is (Status.NO_MINIMISER if separable else Status.CONVERGED), found.message
    assert (found.x >= problem.lower).all()
    assert (found.x <= problem.upper).all()
    assert found.stationarity <= found.tolerance
    assert np.isfinite([found.objective, found.gap, found.suboptimality_bound]).all()
    assert found.gap >= 0
    objective = problem.objective(found.x, found.intercept)
    assert found.objective == pytest.approx(objective, rel=1e-9, abs=1e-14)
    assert (np.diff(found.objectives) <= 1e-13 * np.abs(found.objectives[:-1])).all()
    return found


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("design", DESIGNS)
def test_hard_designs(design, form, loss):
    X = FORMS[form](DESIGNS[design])
    y = targets(loss, X.shape[0])
    solved(MaskProblem(X, y, loss=loss, penalty=Log(0.1), lam=0.02))
    # Separable labels have no minimiser with a penalty that is flat far out.
    penalty = Log(1.0) if loss == "logistic" else MCP(3.0)
    for intercept in (False, True):
        solved(RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.02, fit_intercept=intercept))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [0.0, 3.7, 1e6 / 3])
@pytest.mark.parametrize("start", [None, "dense", "l1"])
def test_constant_targets_with_an_intercept_are_solved_at_once(loss, value, start):
    """The gradient is zero but for rounding: a tolerance relative to it cannot be met."""
    y = np.full(24, value) if loss != "logistic" else np.full(24, float(value > 0))
    problem = RegressionProblem(BASE + 100.0, y, loss=loss, penalty=Log(0.1), lam=0.1, fit_intercept=True)
    found = solved(problem, start)
    assert found.n_iter == 1
    assert found.objective <= 1e-12
    np.testing.assert_allclose(found.x, 0.0, atol=1e-9)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0)], ids=repr)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("factor", [1.0 + 1e-9, 1e3, 1e300])
def test_lam_from_lam_max_on_gives_zero_at_once(penalty, loss, intercept, factor):
    problem = RegressionProblem(BASE, targets(loss, 24), loss=loss, penalty=penalty, fit_intercept=intercept)
    found = solved(problem.with_lam(factor * problem.lam_max()), "zero")
    if found.x.any():  # a steep penalty can have a better minimum far from a zero that is stationary
        assert factor < 2
        assert penalty == Log(0.1)
        assert found.objective < problem.data_fit(*problem.start_at_zero())
    else:
        assert found.n_iter == 1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", [Log(0.1), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("rows", [3, 24])
def test_lam_zero_is_the_plain_fit(loss, penalty, rows):
    X, y = BASE[:rows], targets(loss, rows)
    problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.0)
    found = solved(problem, separable=loss == "logistic")
    assert found.gap <= 1e-6
    if loss == "linear":
        np.testing.assert_allclose(X @ found.x, X @ np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-7)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("lam", [0.0, 1e-8, 1e-3])
@pytest.mark.parametrize("intercept", [False, True])
def test_separable_logistic_data(penalty, lam, intercept):
    y = np.where(BASE[:, 0] > 0, 1.0, -1.0)
    problem = RegressionProblem(BASE, y, loss="logistic", penalty=penalty, lam=lam, fit_intercept=intercept)
    found = solved(problem, separable=lam == 0.0 or penalty == MCP(3.0))
    assert (np.sign(problem.predictor(found.x, found.intercept)) == y).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bound", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("penalty", [Log(0.1), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("intercept", [False, True])
def test_equal_bounds(loss, bound, penalty, intercept):
    problem = RegressionProblem(
        BASE, targets(loss, 24), loss=loss, penalty=penalty, lower=bound, upper=bound, fit_intercept=intercept
    )
    found = solved(problem)
    np.testing.assert_array_equal(found.x, bound)
    assert found.gap <= 1e-8


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("start", ["l1", "zero", "dense", "multi"])
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_an_infinite_slope_at_zero(loss, start, kind):
    found = solved(kind(BASE, targets(loss, 24), loss=loss, penalty=Lq(0.5), lam=0.02), start)
    if start == "zero" and loss != "linear":  # a zero stays zero in every step
        assert not found.x.any()


@pytest.mark.parametrize(
    "bounds", [(-1e300, 1e300), (-1e6, np.inf), (0.3, np.inf), (-np.inf, -0.3), (-2.0, -0.5)]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_bounds_of_every_kind(bounds, loss):
    """Bounds far away cost no accuracy of the gap, bounds that exclude zero are kept."""
    problem = RegressionProblem(
        BASE, targets(loss, 24), loss=loss, penalty=L1(), lam=0.05, lower=bounds[0], upper=bounds[1]
    )
    assert solved(problem).gap <= 1e-6


@pytest.mark.parametrize(
    "weights", [np.eye(24)[3], np.arange(24.0) % 2, np.full(24, 1e-320), np.full(24, 1e308)]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_sample_weights_of_every_kind(weights, loss):
    solved(
        RegressionProblem(
            BASE,
            targets(loss, 24),
            loss=loss,
            penalty=Log(0.1),
            lam=0.02,
            sample_weight=weights,
            fit_intercept=True,
        )
    )


def _for_a_few_columns(toarray):
    def guarded(self, *args, **kwargs):
        assert self.shape[1] <= 100
        return toarray(self, *args, **kwargs)

    return guarded


@pytest.mark.parametrize("form", ["csc", "csr"])
@pytest.mark.parametrize("loss", LOSSES)
def test_sparse_data_are_never_densified(form, loss, monkeypatch):
    """A dense copy of X would take 80 GB here: the solve would fail."""
    rng = np.random.default_rng(0)
    X = sparse.random(100_000, 100_000, density=2e-5, format=form, random_state=rng)
    y = np.asarray(X[:, :50].sum(axis=1)).ravel()
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    for kind in (sparse.csc_matrix, sparse.csr_matrix):
        monkeypatch.setattr(kind, "todense", None)
        monkeypatch.setattr(kind, "toarray", _for_a_few_columns(kind.toarray))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X was copied once")
        problem = RegressionProblem(X, y, loss=loss, penalty=Log(0.1))
    found = majorize_minimize(problem.with_lam(0.5 * problem.lam_max()), "zero", tol=1e-4)
    assert found.status is Status.CONVERGED

"""Several responses: against scikit-learn, cvxpy, and the problem of one response."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn.linear_model import Lasso, LogisticRegression, MultiTaskLasso

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import MultiResponseProblem, RegressionProblem, dual_value, lam_grid, majorize_minimize
from convex_analysis.cross_validation import cross_validate, deal_folds
from convex_analysis.design import Design
from convex_analysis.losses import Multinomial
from convex_analysis.reference import convex_step
from convex_analysis.regularisation_path import path
from convex_analysis.solver.stacked_set import StackedSet
from convex_analysis.stacked_design import StackedDesign
from convex_analysis.statistics import nested_cross_validate

RNG = np.random.default_rng(3)
N, D, K = 80, 7, 3
X = RNG.standard_normal((N, D)) * np.geomspace(0.5, 4.0, D)
SCORES = X[:, :3] @ RNG.standard_normal((3, K)) + RNG.gumbel(size=(N, K))
LABELS = np.array(["a", "b", "c"])[SCORES.argmax(axis=1)]
Y = X[:, :2] @ RNG.standard_normal((2, K)) + 0.3 * RNG.standard_normal((N, K)) + [1.0, -2.0, 0.0]
WEIGHTS = RNG.uniform(0.5, 2.0, N)


def multinomial(**parts) -> MultiResponseProblem:
    return MultiResponseProblem(X, LABELS, loss="multinomial", fit_intercept=True, **parts)


def test_multinomial_l1_equals_scikit_learn() -> None:
    problem = multinomial(lam=0.02, sample_weight=WEIGHTS)
    found = majorize_minimize(problem, tol=1e-11)
    W, b = problem.coefficients(found.x)
    peer = LogisticRegression(
        l1_ratio=1.0, C=1.0 / (0.02 * WEIGHTS.sum()), solver="saga", tol=1e-12, max_iter=100_000
    ).fit(X, LABELS, WEIGHTS)
    np.testing.assert_allclose(W, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(b, peer.intercept_, atol=1e-6)
    assert list(problem.classes) == list(peer.classes_)


@pytest.mark.parametrize("shared", [True, False])
def test_the_support_holds_coefficients_and_no_intercept(shared) -> None:
    for problem in (
        multinomial(lam=0.05, shared_support=shared),
        MultiResponseProblem(X, Y, lam=0.5, fit_intercept=True, shared_support=shared),
    ):
        found = majorize_minimize(problem)
        W, b = problem.coefficients(found.x)
        assert b.any()
        np.testing.assert_array_equal(found.support, np.flatnonzero(W.ravel()))
        assert f"support {np.count_nonzero(W)} of {W.size} " in repr(found)
        assert not majorize_minimize(problem.with_lam(9.0)).support.size


@pytest.mark.parametrize("shared", [True, False])
def test_least_squares_equal_scikit_learn(shared) -> None:
    problem = MultiResponseProblem(X, Y, lam=0.3, fit_intercept=True, shared_support=shared)
    W, b = problem.coefficients(majorize_minimize(problem, tol=1e-11).x)
    peer = (MultiTaskLasso if shared else Lasso)(0.3, tol=1e-13, max_iter=100_000).fit(X, Y)
    np.testing.assert_allclose(W, peer.coef_, atol=1e-7)
    np.testing.assert_allclose(b, peer.intercept_, atol=1e-7)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")  # of cvxpy, whose value is compared below
@pytest.mark.parametrize("penalty", [L1(), Log(0.3), MCP(2.0)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("loss", ["multinomial", "huber"])
def test_convex_steps_equal_cvxpy(loss, shared, penalty) -> None:
    targets = LABELS if loss == "multinomial" else Y
    problem = MultiResponseProblem(
        X,
        targets,
        loss=loss,
        lam=0.05,
        penalty=penalty,
        shared_support=shared,
        fit_intercept=True,
        ridge=0.01,
    )
    found = majorize_minimize(problem, tol=1e-9)
    assert found.converged
    weights = problem.weights(found.x)
    step = convex_step(problem, weights, tolerance=1e-9)  # at a stationary point the convex step stays there
    here = problem.data_fit(found.x) + problem.regulariser.norm(weights, found.x)
    assert here == pytest.approx(step.value, abs=1e-6 * (1.0 + abs(here)))
    assert 0.0 <= found.gap <= 1e-6
    assert found.objective == pytest.approx(problem.objective(found.x), abs=1e-12)


def test_two_classes_are_the_logistic_model_with_the_difference_penalised() -> None:
    two = np.where(LABELS == "a", "a", "b")
    problem = MultiResponseProblem(X, two, loss="multinomial", lam=0.05, fit_intercept=True)
    W, b = problem.coefficients(majorize_minimize(problem, tol=1e-11).x)
    single = RegressionProblem(X, 1.0 * (two == "b"), loss="logistic", lam=0.05, fit_intercept=True)
    found = majorize_minimize(single, tol=1e-11)
    # |u| + |v| with u - v = w is least at |w|, at any split.
    np.testing.assert_allclose(W[1] - W[0], found.x, atol=1e-6)
    assert b[1] - b[0] == pytest.approx(found.intercept, abs=1e-6)


def test_a_path_begins_at_the_model_without_features() -> None:
    for problem in (multinomial(penalty=MCP(2.0)), multinomial(shared_support=True, sample_weight=WEIGHTS)):
        grid = lam_grid(problem, 5)
        found = path(problem, grid)
        W, b = problem.coefficients(found[0].x)
        share = np.array([problem.sample_weight[one == LABELS].sum() for one in problem.classes])
        assert not W.any()
        np.testing.assert_allclose(b, np.log(share) - np.log(share).mean(), atol=1e-9)
        assert np.count_nonzero(problem.coefficients(found[-1].x)[0]) > 3
        if problem.group is not None:
            support = problem.coefficients(found[2].x)[0] != 0.0
            assert (support.all(axis=0) | ~support.any(axis=0)).all()


def test_weights_count_as_repeated_rows_and_the_order_of_storage_is_nothing() -> None:
    times = RNG.integers(0, 3, N)
    rows = np.repeat(np.arange(N), times)
    own = multinomial(lam=0.03, penalty=Log(0.3), sample_weight=times)
    twice = MultiResponseProblem(
        sparse.csr_matrix(X[rows]), LABELS[rows], loss="multinomial", lam=0.03, penalty=Log(0.3),
        fit_intercept=True,
    )  # fmt: skip
    first, second = majorize_minimize(own, tol=1e-10), majorize_minimize(twice, tol=1e-10)
    assert first.objective == pytest.approx(second.objective, abs=1e-10)
    np.testing.assert_allclose(own.coefficients(first.x)[0], twice.coefficients(second.x)[0], atol=1e-6)


@pytest.mark.parametrize("kind", [np.asfortranarray, np.ascontiguousarray, sparse.csc_matrix, np.float32])
def test_the_design_is_a_kronecker_product(kind) -> None:
    data = kind(X)
    scale = RNG.uniform(0.5, 2.0, K * D + 2)
    design = StackedDesign(Design(data), K, 2, scale)
    plain = np.float64(data.toarray() if sparse.issparse(data) else data)
    dense = np.column_stack([np.kron(np.eye(K), plain),
                             np.kron(np.eye(K), np.ones((N, 1)))[:, :2]]) * scale  # fmt: skip
    v, h = RNG.standard_normal(K * N), RNG.uniform(0.1, 1.0, K * N)
    few = np.sort(RNG.permutation(K * D + 2)[:9])
    for x in (RNG.standard_normal(K * D + 2), np.eye(K * D + 2)[4]):
        np.testing.assert_allclose(design.matvec(x), dense @ x, atol=1e-12)
    np.testing.assert_allclose(
        design.restricted_matvec(few, scale[few]), dense[:, few] @ scale[few], atol=1e-12
    )
    np.testing.assert_allclose(design.rmatvec(v), v @ dense, atol=1e-11)
    np.testing.assert_allclose(design.restricted_rmatvec(few, v), v @ dense[:, few], atol=1e-11)
    np.testing.assert_allclose(design.columns(few), dense[:, few])
    np.testing.assert_allclose(design.largest_entries(), np.abs(dense).max(axis=0))
    products, squares = design.rmatvec_and_squared_norms(v, h)
    np.testing.assert_allclose(products, v @ dense, atol=1e-11)
    np.testing.assert_allclose(squares, h @ dense**2)
    for coupled in (True, False):
        working = StackedSet(design, coupled, np.full(K * D + 2, 0.1))
        working.add(few[:4], h)
        working.add(few[4:], h)
        H = h.reshape(K, N)
        hessian = np.diag(h)
        if coupled:
            blocks = [[np.diag(H[k] * H[j] / H.sum(axis=0)) for j in range(K)] for k in range(K)]
            hessian = hessian - np.block(blocks)
        expected = dense[:, few].T @ hessian @ dense[:, few] + 0.1 * np.eye(few.size)
        np.testing.assert_allclose(working.gram, expected, atol=1e-10)
        working.keep(np.array([0, 2, 5]))
        working.add(few[[1]], 2.0 * h, refresh=True)
        order = few[[0, 2, 5, 1]]
        expected = 2.0 * dense[:, order].T @ hessian @ dense[:, order] + 0.1 * np.eye(4)
        np.testing.assert_allclose(working.gram, expected, atol=1e-10)


def test_dual_values_are_lower_bounds() -> None:
    problem = multinomial(lam=0.02)
    found = majorize_minimize(problem, tol=1e-10)
    weights = problem.weights(found.x)
    for shrink in (1.0, 0.5):
        z = shrink * problem.predictor(found.x)
        nu = -problem.fit.rows(z)
        assert dual_value(problem, weights, 0.3 * nu) <= found.objective + 1e-12
    tilted = nu.copy()
    tilted[0] += 0.1 / N  # the classes of a sample no longer sum to zero: outside the domain
    assert dual_value(problem, weights, tilted) == -np.inf


def test_the_loss_and_its_conjugate() -> None:
    loss = Multinomial(K)
    z = 3.0 * RNG.standard_normal(K * N)
    y = (RNG.integers(0, K, N) == np.arange(K)[:, None]).astype(float).ravel()
    Z = z.reshape(K, N)
    own = (y.reshape(K, N) * Z).sum(axis=0)
    np.testing.assert_allclose(loss.value(z, y).reshape(K, N).sum(axis=0), logsumexp(Z, axis=0) - own)
    v = loss.derivative(z, y)
    fenchel = (loss.value(z, y) + loss.conjugate(v, y) - v * z).reshape(K, N).sum(axis=0)
    np.testing.assert_allclose(fenchel, 0.0, atol=1e-12)
    step = 1e-6 * RNG.standard_normal(K * N)
    change = loss.value(z + step, y).sum() - loss.value(z - step, y).sum()
    assert change == pytest.approx(2.0 * v @ step, rel=1e-6)
    assert np.isfinite(loss.value(1e4 * z, y)).all()


def test_cross_validation_and_criteria_count_samples_not_rows() -> None:
    found = cross_validate(multinomial(penalty=MCP(2.0)), n_lams=6, folds=3, smallest=0.2)
    assert found.losses.shape == (3, 6)
    assert found.best.lam < found.lams[0]
    assert (found.losses.mean(axis=0)[0] > found.losses.mean(axis=0)).any()
    # Two free intercepts are two parameters of every model, that without features too.
    assert found.path.bic[0] == pytest.approx(2.0 * N * found.path[0].objective + 2 * np.log(N) * N / (N - 3))
    assert found.path.ebic[0] == pytest.approx(found.path.bic[0])


@pytest.mark.parametrize("classes", [True, False])
def test_held_out_losses_are_those_of_the_model_that_was_fitted(classes) -> None:
    """Its intercepts, too: nothing of the samples held out is in them."""
    targets, loss = (LABELS, "multinomial") if classes else (Y, "linear")
    parts = {"loss": loss, "penalty": Log(0.3), "fit_intercept": True}
    problem = MultiResponseProblem(X, targets, **parts)
    found = cross_validate(problem, [0.3, 0.1], folds=3, seed=1, tol=1e-10)
    fold = deal_folds(problem, 3, np.random.default_rng(1))
    nested = nested_cross_validate(problem, outer=3, folds=2, n_lams=3)
    outer = deal_folds(problem, 3, np.random.default_rng([0, 1]))

    def judge(part, x, out):
        W, b = part.coefficients(x)
        z = X[out] @ W.T + b
        if not classes:
            return ((Y[out] - z) ** 2).sum(axis=1).mean() / 2.0
        own = z[np.arange(len(z)), np.searchsorted(problem.classes, LABELS[out])]
        return float(np.mean(logsumexp(z, axis=1) - own))

    for k in range(3):
        part = MultiResponseProblem(X[fold != k], targets[fold != k], **parts)
        along = path(part, [0.3, 0.1], tol=1e-10)
        expected = [judge(part, one.x, fold == k) for one in along]
        np.testing.assert_allclose(found.losses[k], expected, rtol=1e-6)
        trained = problem.with_sample_weight((outer != k).astype(float))
        assert nested.losses[k] == pytest.approx(judge(trained, nested.solutions[k].x, outer == k))


@pytest.mark.parametrize("shared", [True, False])
def test_an_infinite_factor_leaves_a_feature_out_of_all_responses(shared) -> None:
    factor = np.r_[np.inf, np.ones(D - 1)]
    parts = {"lam": 0.05, "fit_intercept": True, "shared_support": shared}
    problem = MultiResponseProblem(X, Y, penalty_factor=factor, **parts)
    found = majorize_minimize(problem, tol=1e-10)
    W, _ = problem.coefficients(found.x)
    assert not W[:, 0].any()
    assert 0.0 <= found.gap <= 1e-8
    fewer = MultiResponseProblem(X[:, 1:], Y, **parts)
    np.testing.assert_allclose(
        W[:, 1:], fewer.coefficients(majorize_minimize(fewer, tol=1e-10).x)[0], atol=1e-6
    )


def test_another_box_is_one_of_the_features() -> None:
    problem = MultiResponseProblem(X, Y, lam=0.01, fit_intercept=True)
    boxed = problem.with_bounds(-0.1, 0.1)
    again = MultiResponseProblem(X, Y, lam=0.01, fit_intercept=True, lower=-0.1, upper=0.1)
    np.testing.assert_array_equal(boxed.lower, again.lower)
    np.testing.assert_array_equal(boxed.upper, again.upper)
    with pytest.raises(ValueError, match="no bounds"):
        multinomial(shared_support=True).with_bounds(0.0, np.inf)


def test_infinite_slopes_and_unbounded_coefficients() -> None:
    problem = multinomial(lam=0.02, penalty=Lq(0.5))
    found = majorize_minimize(problem)
    assert found.converged
    assert 0 < np.count_nonzero(problem.coefficients(found.x)[0]) < K * D
    x = problem.point(*problem.coefficients(found.x))
    np.testing.assert_allclose(problem.predictor(x), problem.predictor(found.x), atol=1e-12)


def test_wrong_statements_are_refused() -> None:
    with pytest.raises(ValueError, match="one column a response"):
        MultiResponseProblem(X, Y[:, 0])
    with pytest.raises(ValueError, match="class of each sample"):
        MultiResponseProblem(X, Y, loss="multinomial")
    with pytest.raises(ValueError, match="at least two classes"):
        MultiResponseProblem(X, np.zeros(N), loss="multinomial")
    with pytest.raises(ValueError, match="no bounds"):
        MultiResponseProblem(X, Y, shared_support=True, lower=0.0)
    with pytest.raises(ValueError, match="does not know several responses"):
        multinomial().require_plain("A theorem")
    with pytest.raises(ValueError, match="single 1"):
        Multinomial(2).check_targets(np.ones(4))

"""Problems that try to break the theorems, not only Gaussian ones, and points hard for each bound."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty
from convex_analysis import MaskProblem, RegressionProblem, majorize_minimize
from convex_analysis.losses import Huber

DESIGNS = (
    "gaussian",
    "orthogonal",
    "integer",
    "rank deficient",
    "near duplicates",
    "binary",
    "correlated",
    "zero column",
)
THETAS = ("ones", "gaussian", "heavy tails", "mixed scales", "signs")


def penalties(flat: bool = False, finite_slope: bool = False, smooth: bool = False) -> st.SearchStrategy[Any]:
    """Draw a penalty of any family over a wide range of its parameter."""
    width = st.floats(-2.5, 1.5).map(lambda e: 10.0**e)
    families = [
        st.builds(MCP, st.floats(0.1, 5.0)),
        st.builds(SCAD, st.floats(1.5, 5.0), st.floats(0.05, 1.2)),
        st.builds(CappedL1, st.floats(0.05, 1.5)),
    ]
    if flat:
        return st.one_of(
            st.builds(MCP, st.floats(0.1, 0.95)),
            st.builds(SCAD, st.floats(1.5, 3.0), st.floats(0.05, 0.3)),
            st.builds(CappedL1, st.floats(0.05, 0.95)),
        )
    if smooth:
        families = []
    families += [
        st.just(L1()),
        st.builds(Log, width),
        st.builds(Exponential, width),
        st.builds(Arctan, width),
        st.builds(Fraction, width),
        st.builds(Lq, st.floats(0.1, 0.95), st.floats(1e-3, 1.0)),
    ]
    if not finite_slope:
        families.append(st.builds(Lq, st.floats(0.1, 0.95)))
    return st.one_of(families)


def design(rng: np.random.Generator, kind: str, n: int, d: int) -> np.ndarray:
    """Return an n x d design of the kind named."""
    X = rng.standard_normal((n, d))
    if kind == "orthogonal":
        q, _ = np.linalg.qr(rng.standard_normal((max(n, d), d)))
        X = np.sqrt(max(n, d)) * q[:n]
    elif kind == "integer":
        X = rng.integers(-3, 4, (n, d)).astype(float)
    elif kind == "rank deficient":
        X = X[:, : max(1, d // 2)] @ rng.standard_normal((max(1, d // 2), d))
    elif kind == "near duplicates":
        X[:, 1::2] = X[:, : d - 1 : 2][:, : X[:, 1::2].shape[1]] + 1e-3 * X[:, 1::2]
    elif kind == "binary":
        X = rng.choice([0.0, 1.0], (n, d))
    elif kind == "correlated":
        X = 0.5 * X + rng.standard_normal((n, 1))
    elif kind == "zero column":
        X[:, rng.integers(d)] = 0.0
    return X


def weights(rng: np.random.Generator, kind: str, d: int) -> np.ndarray:
    """Return theta of the kind named."""
    if kind == "gaussian":
        return rng.standard_normal(d)
    if kind == "heavy tails":
        return rng.standard_t(1.0, d).clip(-1e3, 1e3)
    if kind == "mixed scales":
        return 10.0 ** rng.uniform(-3, 3, d)
    return rng.choice([-1.0, 1.0], d) if kind == "signs" else np.ones(d)


@dataclass(frozen=True)
class Given:
    """A problem with its target and a generator for what a test draws further."""

    problem: MaskProblem
    target: np.ndarray
    rng: np.random.Generator = field(repr=False)
    story: str = ""


@st.composite
def cases(
    draw: Any,
    max_features: int = 7,
    losses: tuple[str, ...] = ("linear", "logistic"),
    penalty: st.SearchStrategy[Any] | None = None,
    designs: tuple[str, ...] = DESIGNS,
    thetas: tuple[str, ...] = THETAS,
    samples_per_feature: tuple[float, ...] = (0.6, 1.0, 2.0, 6.0),
    noises: tuple[float, ...] = (0.0, 0.0, 1e-3, 0.03, 0.3, 3.0, 100.0),
    lams: tuple[float, float] = (-6.0, 1.0),
    extreme: bool = True,
    min_ones: int = 0,
    ridge_and_offset: bool = False,
) -> Given:
    """Draw a mask problem: any design, loss, penalty; k from 0 to d; lam and noise from tiny to huge."""
    d = draw(st.integers(1, max_features))
    n = max(1, round(draw(st.sampled_from(samples_per_feature)) * d))
    k = draw(st.integers(min(min_ones, d), d))
    kind, scale = draw(st.sampled_from(designs)), draw(st.sampled_from(thetas))
    loss = draw(st.sampled_from(losses))
    noise = draw(st.sampled_from(noises))
    lam = 10.0 ** draw(st.floats(*lams))
    if extreme and draw(st.integers(0, 19)) == 0:
        lam = draw(st.sampled_from([0.0, 1e-12, 1e6]))
    r = draw(penalties() if penalty is None else penalty)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X, theta = design(rng, kind, n, d), weights(rng, scale, d)
    target = np.zeros(d)
    target[rng.choice(d, k, replace=False)] = 1.0
    z = (X * theta) @ target
    y = z + noise * rng.standard_normal(n)
    if loss == "logistic":
        # Without noise the labels are separated by the target itself.
        y = np.where(y >= 0, 1.0, -1.0)
    weighted = draw(st.integers(0, 9)) == 0
    sample_weight = rng.uniform(0.1, 2.0, n) if weighted else None
    if loss == "huber":
        loss = Huber(float(rng.choice([0.1, 1.0, 10.0])) * max(1e-3, float(np.abs(y).max())))
    more: dict[str, Any] = {}
    if ridge_and_offset:
        more["ridge"] = float(rng.choice([0.0, 1e-3, 0.1, 10.0]))
        more["offset"] = rng.normal(0.0, rng.choice([1e-3, 1.0]), n)
    problem = MaskProblem(X, y, theta, loss=loss, penalty=r, lam=lam, sample_weight=sample_weight, **more)
    story = f"{kind} {n}x{d}, theta {scale}, {loss!s}, noise {noise:g}, lam {lam:.3g}, k {k}, {r!r}"
    return Given(problem, target, rng, story)


@st.composite
def grouped(draw: Any, min_samples: int = 2) -> Given:
    """Draw a regression with groups of one to three coefficients, perhaps with a ridge or an intercept."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    group = np.repeat(np.arange(4), rng.integers(1, 4, 4))[: draw(st.integers(3, 8))]
    n, d = draw(st.integers(min_samples, 30)), group.size
    kind = draw(st.sampled_from(("gaussian", "integer", "near duplicates", "correlated", "zero column")))
    X = design(rng, kind, n, d)
    y = X @ np.where(group < 2, rng.standard_normal(d), 0.0) + 0.3 * rng.standard_normal(n)
    problem = RegressionProblem(
        X,
        y,
        penalty=draw(penalties()),
        lam=10.0 ** draw(st.floats(-3, 0.5)),
        groups=group,
        fit_intercept=draw(st.booleans()),
        ridge=draw(st.sampled_from((0.0, 0.0, 0.1))),
    )
    story = f"groups {group}, {kind} {n}x{d}, {problem.penalty!r}, lam {problem.lam:.3g}"
    return Given(problem, np.zeros(d), rng, story)


def solve(problem: Any, start: Any = None, **limits: Any) -> Any:
    """Run majorize-minimize; stopping early is no warning here, the certificate says it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return majorize_minimize(problem, start, **{"max_iter": 300, **limits})


def stationary_points(case: Given, most: int | None = None) -> list[Any]:
    """Return majorize-minimize's ends from several starts."""
    d = case.target.size
    starts = [
        None,
        "dense",
        "zero",
        case.target,
        case.rng.uniform(0, 1, d),
        case.rng.integers(0, 2, d).astype(float),
    ]
    return [solve(case.problem, start) for start in starts[:most]]


def level_points(case: Given, most: int | None = None) -> Iterator[np.ndarray]:
    """Yield points with F no larger than at the target, as far from it as simple searches go."""
    problem, target = case.problem, case.target
    level = problem.objective(target)
    ends = [solve(problem, target).x, solve(problem, None).x]
    ends += [case.rng.integers(0, 2, target.size).astype(float) for _ in range(4)]
    ends += [case.rng.uniform(0, 1, target.size) for _ in range(3)]
    ends += [np.abs(target - (np.arange(target.size) == j)) for j in range(min(target.size, 4))]
    for end in [end for end in ends if (end != target).any()][:most]:
        direction = end - target
        # Beyond the end, up to the face of the box, and back to the level by bisection.
        moving = direction != 0
        far = float(np.min(1.0 / np.abs(direction[moving])))
        shares = far * np.linspace(0.0, 1.0, 21)
        below = [t for t in shares if problem.objective(np.clip(target + t * direction, 0, 1)) <= level]
        low = max(below, default=0.0)
        high = min(far, low + far / 20)
        for _ in range(16):
            middle = 0.5 * (low + high)
            if problem.objective(np.clip(target + middle * direction, 0, 1)) <= level:
                low = middle
            else:
                high = middle
        yield np.clip(target + low * direction, 0, 1)


def thorough(quick: int = 40) -> pytest.MarkDecorator:
    """Parametrise a test by its number of examples: few, or thousands by `make test-theorems`."""
    many = settings.get_profile("theorems").max_examples
    marks = [pytest.mark.theorems, pytest.mark.timeout(7200)]
    return pytest.mark.parametrize(
        "count", [pytest.param(quick, id="quick"), pytest.param(many, id="thorough", marks=marks)]
    )


def search(strategy: st.SearchStrategy[Given], attempt: Any, count: int) -> list[float]:
    """Run ``attempt(case)`` on ``count`` problems; return the margins of the verdicts that hold.

    ``attempt`` yields verdicts. A theorem that applies and whose conclusion is false is a counterexample.
    """
    margins: list[float] = []

    @settings(max_examples=count, print_blob=False, phases=[Phase.generate])
    @given(strategy)
    def run(case: Given) -> None:
        applied = False
        for verdict in attempt(case):
            assert verdict.holds is not False, f"{case.story}\n{verdict.explain()}"
            if verdict.holds:
                applied = True
                if np.isfinite(verdict.margin):
                    margins.append(verdict.margin)
        event(f"applies: {applied}")

    run()
    return margins


def margin_record(name: str, margins: list[float]) -> tuple[str, str]:
    """Return what `record_property` keeps of the margins, so that a bound that became vacuous shows."""
    if not margins:
        return name, "never applied"
    return name, f"applied {len(margins)}, margin median {np.median(margins):.3g}, largest {max(margins):.6g}"


def orthogonal(target: Any, gradient: Any, mu: float, penalty: Any, lam: float) -> MaskProblem:
    """Return the problem with ``f(m) = mu/2 ||m - target + gradient/mu||^2``."""
    target, gradient = np.asarray(target, dtype=float), np.asarray(gradient, dtype=float)
    root = np.sqrt(target.size * mu)
    y = root * (target - gradient / mu)
    return MaskProblem(root * np.eye(target.size), y, penalty=penalty, lam=lam)


def claiming(penalty: Penalty, **claims: float) -> Penalty:
    """Return the penalty with false constants: a check that cannot fail on it is none."""

    def constant(value: float) -> property:
        return property(lambda self: value)

    names = ("slope_at_zero", "slope_at_one", "curvature", "weak_convexity", "flat_from")
    parts: dict[str, Any] = {name: constant(claims.get(name, getattr(penalty, name))) for name in names}
    parts["value"] = lambda self, t: penalty.value(t)
    parts["derivative"] = lambda self, t: penalty.derivative(t)
    return type("Claiming", (Penalty,), parts)()

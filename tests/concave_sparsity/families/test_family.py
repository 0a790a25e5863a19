"""Every family against its definition in high precision, at extreme parameters and arguments."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch

from concave_sparsity import MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty

mpmath.mp.dps = 130
MP = mpmath.mpf


def definition(p):
    """The penalty of architecture.md before it is normalised, in high precision."""
    match p:
        case Log(eps):
            return lambda t: mpmath.log1p(t / MP(eps))
        case Lq(q, s):
            return lambda t: (t + MP(s)) ** MP(q) - MP(s) ** MP(q)
        case MCP(gamma):
            return lambda t: t - t**2 / (2 * MP(gamma)) if t <= gamma else MP(gamma) / 2
        case SCAD(a, knee):
            a, k = MP(a), MP(knee)

            def scad(t):
                if t <= k:
                    return t
                if t <= a * k:
                    return (2 * a * k * t - t**2 - k**2) / (2 * (a - 1) * k)
                return k * (a + 1) / 2

            return scad
        case CappedL1(cap):
            return lambda t: min(t, MP(cap))
        case Exponential(eps):
            return lambda t: -mpmath.expm1(-t / MP(eps))
        case Arctan(eps):
            return lambda t: mpmath.atan(t / MP(eps))
        case Fraction(eps):
            return lambda t: t / (t + MP(eps))
    raise AssertionError(p)


def slope(p):
    """Its derivative and second derivative."""
    match p:
        case Log(eps):
            return lambda t: 1 / (t + MP(eps)), lambda t: -1 / (t + MP(eps)) ** 2
        case Lq(q, s):
            q, s = MP(q), MP(s)
            return lambda t: q * (t + s) ** (q - 1), lambda t: q * (q - 1) * (t + s) ** (q - 2)
        case MCP(gamma):
            g = MP(gamma)
            return lambda t: max(MP(0), 1 - t / g), lambda t: -1 / g if t < g else MP(0)
        case SCAD(a, knee):
            a, k = MP(a), MP(knee)
            return (
                lambda t: min(MP(1), max(MP(0), (a * k - t) / ((a - 1) * k))),
                lambda t: -1 / ((a - 1) * k) if k <= t < a * k else MP(0),
            )
        case CappedL1(cap):
            return lambda t: MP(t < cap), lambda t: MP(0)
        case Exponential(eps):
            e = MP(eps)
            return lambda t: mpmath.exp(-t / e) / e, lambda t: -mpmath.exp(-t / e) / e**2
        case Arctan(eps):
            e = MP(eps)
            return lambda t: e / (e**2 + t**2), lambda t: -2 * e * t / (e**2 + t**2) ** 2
        case Fraction(eps):
            e = MP(eps)
            return lambda t: e / (t + e) ** 2, lambda t: -2 * e / (t + e) ** 3
    raise AssertionError(p)


WIDTHS = [1e-12, 1e-5, 0.037, 0.4, 1.0, 2.7, 1e5, 1e12]
CASES = [
    *(family(w) for family in (Log, Exponential, Arctan, Fraction, MCP, CappedL1) for w in WIDTHS),
    *(Lq(q, s) for q, s in itertools.product([1e-6, 0.1, 0.5, 2 / 3, 0.999999], [0.0, *WIDTHS])),
    *(SCAD(a, k) for a, k in itertools.product([1 + 1e-6, 2.0, 3.7, 1e6], WIDTHS)),
]
ARGUMENTS = [
    0.0,
    1e-300,
    1e-20,
    1e-12,
    3e-6,
    0.01,
    0.037,
    0.36,
    1 - 1e-9,
    1.0,
    1.3,
    7.0,
    4e5,
    1e13,
    1e150,
    1e300,
]


def assert_close(got, exact, rel, floor=0.0):
    tiny, huge = MP(10) ** -290, MP(10) ** 300
    if abs(exact) < tiny:
        assert abs(got) <= 1e-289
    elif abs(exact) > huge:
        assert abs(got) > 1e299
    else:
        assert abs(got - exact) <= rel * abs(exact) + floor


@pytest.mark.parametrize("p", CASES, ids=repr)
def test_value_and_slopes_in_high_precision(p):
    r, (d1, d2) = definition(p), slope(p)
    one = r(MP(1))
    # The conditioning of the last flat part: how far rounding of the parameters moves a slope near its zero.
    floor = 1e-15 * min(p.slope_at_zero, 1e300) if isinstance(p, (MCP, SCAD)) else 0.0
    for t in ARGUMENTS:
        if any(abs(t - b) <= 1e-14 * b for b in p.breakpoints):
            continue
        x = MP(t)
        # Rounding of an exponent moves the result by that much: t / eps, or (q - 1) log t.
        steepness = 1.0
        if isinstance(p, Exponential):
            steepness = min(700.0, t / p.eps)
        elif isinstance(p, Lq):
            steepness = 3 + abs(math.log(max(t, 1e-300)))
        assert_close(p.value(t), r(x) / one, 4e-15 * (steepness if isinstance(p, Lq) else 1.0))
        if t or not (isinstance(p, Lq) and p.smoothing == 0):
            assert_close(p.derivative(t), d1(x) / one, 1e-14 * max(1.0, steepness), floor)
            assert_close(p.second_derivative(t), d2(x) / one, 1e-14 * max(1.0, steepness))


@pytest.mark.parametrize("p", CASES, ids=repr)
def test_constants_in_high_precision(p):
    r, (d1, _) = definition(p), slope(p)
    one = r(MP(1))
    left = 1 - MP(10) ** -40
    if not (isinstance(p, Lq) and p.smoothing == 0):
        assert_close(p.slope_at_zero, d1(MP(0)) / one, 1e-14)
    # Near the flat part the slope at one is a small difference.
    assert_close(
        p.slope_at_one, d1(left) / one, 1e-14, 2e-16 / min(1.0, p.breakpoints[-1] if p.breakpoints else 1.0)
    )
    upper = min(d1(MP(0)) / one - 1 if p.slope_at_zero < math.inf else MP(2), 1 - d1(left) / one)
    assert abs(p.curvature - upper) <= 1e-15
    assert 0 <= p.curvature <= 1
    assert p.slope_at_zero >= 1 - 1e-15
    assert 0 <= p.slope_at_one <= 1 + 1e-15


@pytest.mark.parametrize("p", CASES, ids=repr)
def test_curvature_is_a_lower_bound_and_tight(p):
    """r(t) - t >= c t (1 - t), in high precision, for c = min(r'(0) - 1, 1 - r'(1))."""
    r = definition(p)
    one = r(MP(1))
    upper = MP(2) if p.slope_at_zero == math.inf else slope(p)[0](MP(0)) / one - 1
    c = min(upper, 1 - slope(p)[0](1 - MP(10) ** -40) / one)
    points = [MP(k) / 64 for k in range(1, 64)] + [MP(10) ** -k for k in range(2, 26)]
    points += [1 - MP(10) ** -k for k in range(2, 26)] + [MP(b) for b in p.breakpoints if 0 < b < 1]
    for t in points:
        assert r(t) / one - t >= c * t * (1 - t) - MP(10) ** -50


@pytest.mark.parametrize("p", [c for c in CASES if c.weak_convexity < math.inf], ids=repr)
def test_weak_convexity_is_the_largest_fall_of_the_slope(p):
    _, d2 = slope(p)
    one = definition(p)(MP(1))
    for upper, rho in ((1, p.weak_convexity), (10**13, p.weak_convexity_unbounded)):
        grid = [MP(upper) * k / 97 for k in range(97)] + [MP(10) ** -k for k in range(1, 16) if upper == 1]
        grid += [b for b in map(MP, p.breakpoints) if b < upper]
        if isinstance(p, Arctan):
            grid.append(min(MP(upper), MP(p.eps) / mpmath.sqrt(3)))
        steepest = max(-d2(t) for t in grid) / one
        if rho < math.inf:
            assert_close(rho, steepest, 1e-14)
        else:
            assert p.kinks
            assert p.kinks[0] < upper


# -- against the numerics of the base class

NUMERICAL = [
    c
    for c in CASES
    # Not those whose bends are so weak or so sharp that rounding of the slopes hides them.
    if not (isinstance(c, SCAD) and c.a < 1.001)
    and not (isinstance(c, Lq) and c.q > 0.99)
    and all(1e-6 <= b <= 1e5 for b in c.breakpoints)
]


@pytest.mark.parametrize("p", NUMERICAL, ids=repr)
def test_closed_forms_against_the_base_class(p):
    for name in ("slope_at_zero", "slope_at_one", "curvature", "weak_convexity", "flat_from", "kinks"):
        closed, numerical = getattr(p, name), getattr(Penalty, name).fget(p)
        if name == "kinks":
            assert len(closed) == len(numerical)
            assert np.allclose(closed, numerical, rtol=1e-12)
        elif name == "flat_from" and isinstance(p, Exponential):
            # The slope underflows to zero, which is all that the numerics can see.
            assert numerical == math.inf or numerical > 700 * p.eps
        elif math.isinf(closed):
            assert numerical == closed, name
        else:
            assert abs(closed - numerical) <= 1e-8 * max(1.0, abs(closed)), name


@pytest.mark.parametrize("p", CASES, ids=repr)
def test_flat_exactly_where_said(p):
    if p.flat_from < 1e200:
        assert p.derivative(p.flat_from) == 0 or p.flat_from in p.kinks
        assert p.derivative(p.flat_from * (1 + 1e-15)) == 0
        assert p.derivative(p.flat_from * (1 - 1e-9)) > 0
        assert p.value(p.flat_from) == pytest.approx(p.value(1e300), rel=1e-15)
        assert p.flat_from == p.breakpoints[-1]
    else:
        assert p.breakpoints == ()
        assert p.derivative(min(1e6, 700 * getattr(p, "eps", 1e6))) > 0


@pytest.mark.parametrize(("p", "c"), [
    (Log(0.01), 0.78547), (Log(0.1), 0.62088), (Log(1.0), 0.27865), (Log(10.0), 0.04618),
    (MCP(1.0), 1.0), (MCP(2.0), 1 / 3), (MCP(0.5), 1.0),
    (Exponential(0.1), 0.99955), (Exponential(1.0), 0.41802),
    (Arctan(0.3), 0.78487), (Arctan(1.0), 0.27324),
    (Fraction(0.1), 0.90909), (Fraction(1.0), 0.5),
], ids=repr)  # fmt: skip
def test_reference_values_of_the_curvature(p, c):
    assert p.curvature == pytest.approx(c, abs=5e-6)
    assert Penalty.curvature.fget(p) == pytest.approx(p.curvature, abs=1e-8)


FIRST_PARAMETER = {
    Log: "eps",
    Exponential: "eps",
    Arctan: "eps",
    Fraction: "eps",
    MCP: "gamma",
    CappedL1: "cap",
    SCAD: "a",
    Lq: "q",
}


@pytest.mark.parametrize(("kind", "name"), FIRST_PARAMETER.items(), ids=lambda x: getattr(x, "name", x))
def test_bad_parameters_are_refused_with_a_sentence(kind, name):
    for bad in (0.0, -1.0, math.nan, math.inf, -math.inf, 1e31, -0.0):
        with pytest.raises(ValueError, match=rf"{name} must .*got"):
            kind(bad)
    for wrong in ("0.1", None, True, 1j, [0.1], np.array([0.1])):
        with pytest.raises(TypeError, match=rf"{name} must be a real number, got"):
            kind(wrong)
    with pytest.raises(TypeError):
        kind(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Lq(1.0), "q must lie strictly between 0 and 1, got 1"),
        (lambda: Lq(0.5, -0.1), "smoothing must not be negative, got -0.1"),
        (lambda: Lq(0.5, math.nan), "smoothing must be finite"),
        (lambda: Lq(0.5, 1e-31), "smoothing.*between 1e-30 and 1e"),
        (lambda: SCAD(1.0), "a must be greater than 1, got 1"),
        (lambda: SCAD(3.7, 0.0), "knee must be positive, got 0"),
        (lambda: SCAD(1e20, 1e20), r"a \* knee must lie between"),
        (lambda: Lq(1e-13), "q must be at least 1e-12, got 1e-13; in the limit 0 it is Log"),
        (lambda: Lq(0.5, 1e16), r"smoothing.*between 1e-30 and 1e\+15, got"),
        (lambda: Log(1e-31), "eps must lie between 1e-30 and 1e"),
        (lambda: MCP.classical(0.0, 3.0), "lam must be positive, got 0"),
        (lambda: MCP.classical(1.0, -3.0), "gamma must be positive"),
        (lambda: SCAD.classical(-1.0), "lam must be positive"),
        (lambda: SCAD.classical(1.0, 0.5), "a must be greater than 1"),
        (lambda: Log.classical(0.0), "eps must be positive"),
    ],
)
def test_sentences(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


EXTREME = [1e-30, 1e-20, 1e-12, 1e-5, 1.0, 1e5, 1e12, 1e20, 1e30]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", [Log, Exponential, Arctan, Fraction, MCP, CappedL1, SCAD, Lq], ids=lambda c: c.name
)
def test_no_nan_at_any_allowed_parameter(kind, dtype):
    """In single precision too; infinity may stand where the number is beyond the precision."""
    t = np.array([0, 1e-45, 1e-38, 1e-30, 1e-12, 0.1, 0.5, 1, 2, 1e5, 1e20, 1e30, 3e38, np.inf], dtype=dtype)
    if kind is SCAD:
        members = [SCAD(a, k) for a in (1 + 1e-12, 2.0, 1e12) for k in EXTREME if a * k < 1e30]
    elif kind is Lq:
        members = [Lq(q, s) for q in (1e-12, 0.5, 1 - 1e-16) for s in (0.0, *(min(w, 1e15) for w in EXTREME))]
    else:
        members = [kind(w) for w in EXTREME]
    for p in members:
        for method in (p.value, p.derivative, p.second_derivative):
            assert not np.any(np.isnan(method(t)))
            assert not bool(torch.any(torch.isnan(method(torch.from_numpy(t)))))
        assert not np.any(np.isnan(p.prox(np.concatenate([-t, t]), 0.3)))
        assert not np.any(np.isnan(p.prox(t, 0.3, 0.0, 1.0)))

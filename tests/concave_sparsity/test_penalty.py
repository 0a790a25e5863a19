"""What holds for every penalty: the axioms, slopes, arrays of every kind, scaling, identity."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import concave_sparsity
from concave_sparsity import (
    L1,
    MCP,
    SCAD,
    CappedL1,
    Exponential,
    Fraction,
    Log,
    Lq,
    Penalty,
    Scaled,
)


class Root(Penalty):
    """A user's own penalty: a plain class, value and derivative alone."""

    def __init__(self, s):
        self.s = s

    def value(self, t):
        return ((t + self.s) ** 0.5 - self.s**0.5) / ((1 + self.s) ** 0.5 - self.s**0.5)

    def derivative(self, t):
        return 0.5 * (t + self.s) ** -0.5 / ((1 + self.s) ** 0.5 - self.s**0.5)


@dataclasses.dataclass(frozen=True)
class FrozenRoot(Root):
    """The same as a frozen dataclass."""

    s: float = 0.01


def normalised(penalty):
    return not isinstance(penalty, Scaled)


# -- axioms


def test_zero_at_zero_one_at_one(penalty):
    assert penalty.value(0.0) == 0.0
    if normalised(penalty):
        assert penalty.value(1.0) == pytest.approx(1.0, abs=4e-16)


magnitudes = st.one_of(st.floats(0, 2), st.floats(-9, 4).map(lambda x: 10**x))


@given(data=st.data(), s=magnitudes, t=magnitudes, share=st.floats(0, 1))
def test_concave_and_nondecreasing(penalties, data, s, t, share):
    p = data.draw(penalties)
    s, t = min(s, t), max(s, t)
    between = share * s + (1 - share) * t
    rs, rt, rb = p.value(s), p.value(t), p.value(between)
    rounding = 1e-13 * rt
    assert rs <= rt + rounding
    # The point between is rounded, which moves the chord by the slope times that.
    chord = rs if t == s else rs + (rt - rs) * ((between - s) / (t - s))
    assert rb >= chord - rounding - 1e-15 * between * (min(p.derivative(s), 1e300) if s else 0.0)


@given(data=st.data(), s=magnitudes, t=magnitudes)
def test_tangent_majorises(penalties, data, s, t):
    p = data.draw(penalties)
    slope = p.derivative(t)
    tangent = p.value(t) + slope * (s - t) if s != t else p.value(t)
    assert tangent >= p.value(s) - 1e-13 * (p.value(s) + p.value(t)) - 1e-15 * min(slope, 1e300) * max(s, t)


@given(data=st.data(), s=magnitudes, t=magnitudes)
def test_slope_is_nonnegative_and_falls(penalties, data, s, t):
    p = data.draw(penalties)
    assert 0 <= p.derivative(max(s, t)) <= p.derivative(min(s, t)) * (1 + 1e-14)


# -- derivatives


@pytest.mark.filterwarnings("ignore:overflow")
def test_derivative_against_finite_differences(penalty):
    t = np.concatenate([np.geomspace(1e-6, 50.0, 300), np.linspace(0.013, 3.0, 101)])
    for point in penalty.breakpoints:
        t = t[np.abs(t - point) > 1e-4 * t]
    h = 1e-4 * t.astype(np.longdouble)
    x = t.astype(np.longdouble)
    near = penalty.value(x + h) - penalty.value(x - h)
    far = penalty.value(x + 2 * h) - penalty.value(x - 2 * h)
    difference = (8 * near - far) / (12 * h)
    slope = penalty.derivative(t)
    # Where t is many widths of an exponential, h is coarse against the width.
    scale = penalty.value(t) / t
    assert np.all(np.abs(difference - slope) <= 1e-9 * slope + 1e-11 * scale)


def test_second_derivative_against_finite_differences(penalty):
    t = np.concatenate([np.geomspace(1e-4, 20.0, 200)])
    for point in penalty.breakpoints:
        t = t[np.abs(t - point) > 4e-2 * t]
    closed, slope = penalty.second_derivative(t), penalty.derivative(t)
    # The default's steps are a hundredth of t: coarse where t is many widths of an exponential.
    fine = t * np.abs(closed) <= 10 * slope
    assert np.count_nonzero(fine) > 50
    numerical = Penalty.second_derivative(penalty, t)
    assert np.all(np.abs(closed - numerical)[fine] <= (1e-8 * -closed + 1e-12 * slope / t)[fine])


def test_derivative_against_autograd(penalty):
    points = [0.0, 1e-300, 1e-9, 0.02, 0.25, 0.3, 0.5, 0.925, 1.0, 1.5, 2.0, 7.0, 1e6]
    points += [b for b in penalty.breakpoints if b not in penalty.kinks]
    t = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    penalty.value(t).sum().backward()
    expected = penalty.derivative(t.detach())
    assert not torch.isnan(t.grad).any()
    # Torch takes the slope of expm1 from its value, which cancels in the tail.
    tail = 1e-15 * penalty.slope_at_zero if "Exponential" in repr(penalty) else 0.0
    assert torch.allclose(t.grad, expected, rtol=1e-12, atol=tail)


def test_autograd_at_a_kink_is_a_supergradient():
    for cap in (0.3, 1.0):
        t = torch.tensor([cap], dtype=torch.float64, requires_grad=True)
        CappedL1(cap).value(t).sum().backward()
        assert t.grad.item() == CappedL1(cap).derivative(cap)


def test_gradient_through_the_derivative_is_the_second_derivative(penalty):
    points = [1.1e-3, 0.02, 0.26, 0.4, 0.93, 1.1, 2.2, 7.0]
    t = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    penalty.derivative(t).sum().backward()
    gradient = torch.zeros_like(t) if t.grad is None else t.grad
    assert torch.allclose(gradient, penalty.second_derivative(t.detach()), rtol=1e-10, atol=1e-12)


def test_slopes_at_the_ends_are_those_of_the_derivative(penalty):
    assert penalty.derivative(0.0) == pytest.approx(penalty.slope_at_zero, rel=1e-14)
    assert penalty.derivative(1.0) == pytest.approx(penalty.slope_at_one, rel=1e-14, abs=1e-300)
    assert penalty.derivative(math.nextafter(1.0, 0.0)) == pytest.approx(
        penalty.slope_at_one, rel=1e-12, abs=1e-12 * penalty.value(1.0) * min(1e3, penalty.weak_convexity)
    )


# -- arrays of every kind

METHODS = ["value", "derivative", "second_derivative"]


@pytest.mark.parametrize("method", METHODS)
def test_float_in_float_out(family, method):
    f = getattr(family, method)
    for t in (0.5, 1, np.float64(0.5)):
        assert isinstance(f(t), float)
    assert f(1) == f(1.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_keeps_shape_and_dtype(family, method, dtype):
    for shape in [(), (0,), (3,), (2, 0, 3), (4, 5), (70_000,), (300, 301)]:
        t = np.random.default_rng(0).uniform(0, 2, shape).astype(dtype)
        t = np.asarray(t, dtype=dtype)
        y = getattr(family, method)(t)
        assert isinstance(y, np.ndarray), shape
        assert y.shape == shape
        assert y.dtype == dtype, shape
        if t.size:
            one = getattr(family, method)(float(t.flat[-1]))
            assert y.flat[-1] == pytest.approx(one, rel=1e-5 if dtype == np.float32 else 1e-14), shape


@pytest.mark.parametrize("method", METHODS)
def test_other_inputs(family, method):
    f = getattr(family, method)
    assert f(np.array([0, 1, 2])).dtype == np.float64
    assert f(np.array([True, False])).dtype == np.float64
    assert np.array_equal(f([0.25, 1.0]), f(np.array([0.25, 1.0])))
    assert isinstance(f(np.float32(0.5)), np.float32)
    half = f(np.array([0.5], dtype=np.float16))
    assert half.dtype == np.float16
    assert half == np.float16(f(np.float32(0.5)))
    strided = np.arange(200_000.0).reshape(400, 500)[::2, ::-3] / 1e4
    assert np.array_equal(f(strided), f(np.ascontiguousarray(strided)))
    read_only = np.full(3, 0.5)
    read_only.flags.writeable = False
    f(read_only)
    with pytest.raises(TypeError, match="real numbers"):
        f(np.array([1j]))
    with pytest.raises(TypeError, match="real numbers"):
        f(np.array(["a"]))
    with pytest.raises(TypeError, match="real numbers"):
        f(None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_torch_agrees_with_numpy(family, method, dtype):
    t = torch.rand(3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).mul(3).to(dtype)
    y = getattr(family, method)(t)
    assert y.dtype == (torch.float64 if dtype == torch.int64 else dtype)
    assert y.shape == t.shape
    expected = getattr(family, method)(t.double().numpy())
    tolerance = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-6}.get(dtype, 1e-13)
    reference = torch.from_numpy(expected)
    close = torch.isclose(y.double(), reference, rtol=tolerance, atol=tolerance * 1e-2)
    assert bool((close | (y.double() == reference)).all())


def test_arguments_are_not_written_to(family):
    for t in (np.linspace(0, 2, 7), torch.linspace(0, 2, 7, dtype=torch.float64)):
        before = copy.deepcopy(t)
        family.value(t), family.derivative(t), family.prox(t, 0.5), family.prox(t, t, -t, t)
        assert bool((t == before).all())


@pytest.mark.parametrize("method", METHODS)
def test_nan_stays_nan_and_infinity_has_a_limit(family, method):
    f = getattr(family, method)
    assert math.isnan(f(math.nan))
    assert np.isnan(f(np.array([math.nan, 0.5]))).tolist() == [True, False]
    assert torch.isnan(f(torch.tensor([math.nan, 0.5]))).tolist() == [True, False]
    at_infinity = f(math.inf)
    assert not math.isnan(at_infinity)
    if method == "value":
        assert at_infinity >= f(1e300)
    elif not isinstance(family, L1) or method == "second_derivative":
        assert at_infinity == 0
    assert float(f(torch.tensor([math.inf], dtype=torch.float64))) == at_infinity


def test_no_warning_at_extreme_arguments(penalty):
    # pytest turns warnings into errors.
    for t in (0.0, 5e-324, 1e-300, 1e-12, 1e12, 1e150, 1e300, 1.7e308):
        for x in (t, np.array([t])):
            assert np.all(np.isfinite(penalty.value(x)))
            assert np.all(np.asarray(penalty.derivative(x)) >= 0)
            assert not np.any(np.isnan(penalty.second_derivative(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_traced_by_the_compiler_without_a_break(family, dtype):
    t = torch.linspace(0, 2, 9, dtype=dtype)
    torch._dynamo.reset()
    for p in (family, family.scaled(0.5, 2.0)):
        expected = p.derivative(t)
        compiled = torch.compile(lambda x, p=p: p.derivative(x), backend="eager", fullgraph=True)
        assert torch.equal(compiled(t), expected)


# -- a user's own penalty


@pytest.mark.parametrize("make", [Root, FrozenRoot])
def test_own_penalty_needs_value_and_derivative_alone(make):
    own, twin = make(0.01), Lq(0.5, 0.01)
    assert own.curvature == pytest.approx(twin.curvature, abs=1e-8)
    assert own.weak_convexity == pytest.approx(twin.weak_convexity, rel=1e-8)
    assert own.weak_convexity_unbounded == pytest.approx(twin.weak_convexity_unbounded, rel=1e-8)
    assert own.slope_at_zero == pytest.approx(twin.slope_at_zero, rel=1e-12)
    assert own.slope_at_one == pytest.approx(twin.slope_at_one, rel=1e-12)
    assert own.flat_from == math.inf
    assert own.kinks == own.breakpoints == ()
    assert not own.is_piecewise_quadratic
    v = np.linspace(-3, 3, 200)
    assert np.allclose(own.prox(v, 0.3, -1, 2), twin.prox(v, 0.3, -1, 2), rtol=1e-10, atol=1e-12)
    t = np.geomspace(1e-6, 10, 50)
    assert np.allclose(own.second_derivative(t), twin.second_derivative(t), rtol=1e-8)
    assert own.second_derivative(0.0) == pytest.approx(twin.second_derivative(0.0), rel=1e-4)


def test_own_penalty_scaled():
    own, twin = Root(0.01).scaled(0.3, 2.0), Lq(0.5, 0.01).scaled(0.3, 2.0)
    for name in ("slope_at_zero", "slope_at_one", "curvature", "weak_convexity", "weak_convexity_unbounded"):
        assert getattr(own, name) == pytest.approx(getattr(twin, name), rel=1e-8)
    v = np.linspace(-3, 3, 50)
    assert np.allclose(own.prox(v, 0.3, -1, 2), twin.prox(v, 0.3, -1, 2), rtol=1e-10, atol=1e-12)
    for method in METHODS:
        assert np.allclose(getattr(own, method)(np.abs(v)), getattr(twin, method)(np.abs(v)), rtol=1e-8)
    assert own.flat_from == math.inf
    assert own.kinks == ()


def test_names_follow_the_class():
    class MyFavourite(Root):
        pass

    assert MyFavourite(1.0).name == "my-favourite"
    assert Log.name == Log(0.1).name == "log"
    assert CappedL1.name == "capped-l1"


def test_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Penalty()


# -- scaling


@given(data=st.data(), scale=st.floats(0.01, 100), amplitude=st.floats(0.01, 100), t=st.floats(0, 50))
def test_scaled_is_what_it_says(penalties, data, scale, amplitude, t):
    p = data.draw(penalties)
    q = p.scaled(scale, amplitude)
    assert q.value(t) == pytest.approx(amplitude * p.value(t / scale), rel=1e-12)
    if all(abs(t - scale * b) > 1e-12 * t for b in p.breakpoints):
        assert q.derivative(t) == pytest.approx(amplitude / scale * p.derivative(t / scale), rel=1e-10)
        expected = amplitude / scale**2 * p.second_derivative(t / scale)
        assert q.second_derivative(t) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@given(data=st.data(), scale=st.floats(0.05, 20), amplitude=st.floats(0.05, 20))
def test_scaled_prox_is_the_prox_scaled(penalties, data, scale, amplitude):
    p = data.draw(penalties)
    q = p.scaled(scale, amplitude)
    v, step = np.linspace(-4, 4, 41), 0.37
    x = q.prox(v, step, -2.0, 3.0)
    y = scale * p.prox(v / scale, step * amplitude / scale**2, -2.0 / scale, 3.0 / scale)
    objective = [0.5 * (z - v) ** 2 + step * q.value(np.abs(z)) for z in (x, y)]
    assert np.allclose(*objective, rtol=1e-12, atol=1e-13)


def test_scaling_twice_is_scaling_once():
    p = MCP(2.0)
    assert p.scaled(2.0, 3.0).scaled(0.5, 2.0) == p.scaled(1.0, 6.0)
    assert p.scaled() is p
    assert p.scaled(2.0, 4.0).scaled(0.5, 0.25) == p
    assert repr(p.scaled(2.0, 3.0)) == "MCP(gamma=2.0).scaled(scale=2.0, amplitude=3.0)"
    assert eval(repr(p.scaled(2.0, 3.0))) == p.scaled(2.0, 3.0)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf, 1e40])
def test_scaling_refuses(bad):
    with pytest.raises(ValueError, match="scale"):
        MCP(2.0).scaled(scale=bad)
    with pytest.raises(ValueError, match="amplitude"):
        MCP(2.0).scaled(amplitude=bad)
    with pytest.raises(TypeError, match="scale"):
        MCP(2.0).scaled("2")
    with pytest.raises(TypeError, match="Penalty"):
        Scaled("log")


def test_scaling_out_of_range_is_refused_when_made():
    with pytest.raises(ValueError, match="gamma"):
        MCP(1e20).scaled(1e20)


def test_unit_slope():
    for p in (Log(0.1), MCP(2.0), Exponential(0.3)):
        assert p.scaled(amplitude=1 / p.slope_at_zero).slope_at_zero == pytest.approx(1.0, rel=1e-15)


# -- identity


def test_hash_equality_pickle_copy(penalty):
    again = pickle.loads(pickle.dumps(penalty))
    assert again == penalty
    assert hash(again) == hash(penalty)
    assert type(again) is type(penalty)
    assert copy.deepcopy(penalty) == penalty
    assert penalty in {again}
    assert again.prox(1.3, 0.4) == penalty.prox(1.3, 0.4)
    assert eval(repr(penalty), vars(concave_sparsity)) == penalty


def test_different_penalties_differ():
    assert Log(0.1) != Log(0.2)
    assert Log(0.1) != Fraction(0.1)
    assert MCP(2) == MCP(2.0)
    assert hash(MCP(2)) == hash(MCP(2.0))
    assert isinstance(MCP(2).gamma, float)
    assert MCP(np.float32(2)) == MCP(2.0)
    assert len({Log(0.1), Log(0.1), Log(0.2), SCAD()}) == 3


def test_penalties_are_frozen(family):
    fields = dataclasses.fields(family)
    for field in fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(family, field.name, 0.5)
    changed = {field.name: getattr(family, field.name) for field in fields}
    assert dataclasses.replace(family, **changed) == family

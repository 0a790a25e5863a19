"""The prox of every family against brute force over a fine grid, in boxes of every kind."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, CappedL1, Log, Lq
from concave_sparsity.proximal import best_of, improvement

INF = math.inf


def objective(p, x, v, step):
    return 0.5 * (x - v) ** 2 + step * p.value(np.abs(x))


def brute_force(p, v, step, lower, upper):
    """Least objective over a dense grid of the box with its ends, zero and breakpoints, twice refined."""
    span = np.abs(v) + 1.0
    low = np.minimum(np.maximum(lower, -span), upper)
    high = np.maximum(np.minimum(upper, span), lower)
    marks = np.array([0.0, *p.breakpoints, *(-b for b in p.breakpoints)])
    shares = np.linspace(0.0, 1.0, 1201)
    near_zero = np.concatenate([-np.geomspace(1e-14, 1, 60), np.geomspace(1e-14, 1, 60)])
    grid = np.concatenate(
        [
            low[:, None] + (high - low)[:, None] * shares,
            np.broadcast_to(np.concatenate([marks, near_zero]), (v.size, marks.size + near_zero.size)),
            v[:, None],
            low[:, None],
            high[:, None],
        ],
        axis=1,
    )
    grid = np.sort(np.clip(grid, low[:, None], high[:, None]), axis=1)
    v, step = v[:, None], step[:, None]
    value = objective(p, grid, v, step)
    least = value.min(axis=1)
    # Twice again between the neighbours of the three best nodes.
    for _ in range(2):
        best = np.argsort(value, axis=1, kind="stable")[:, :3]
        left = np.take_along_axis(grid, np.maximum(best - 1, 0), axis=1)
        right = np.take_along_axis(grid, np.minimum(best + 1, grid.shape[1] - 1), axis=1)
        grid = np.sort(
            (left[:, :, None] + (right - left)[:, :, None] * np.linspace(0, 1, 81)).reshape(v.size, -1)
        )
        value = objective(p, grid, v, step)
        least = np.minimum(least, value.min(axis=1))
    return least


def draw_problem(seed, n=60):
    rng = np.random.default_rng(seed)
    v = rng.normal(size=n) * 10 ** rng.uniform(-3, 1, n)
    v[:4] = [0.0, 1.0, -1.0, 1.5]
    step = 10 ** rng.uniform(-4, 1.5, n)
    step[4] = 0.0
    return v, step


def boxes(seed, n=60):
    """One array box an element, of every kind."""
    rng = np.random.default_rng(seed + 1)
    a = rng.normal(size=n) * 10 ** rng.uniform(-2, 1, n)
    b = a + rng.exponential(size=n) * (rng.random(n) < 0.9)
    a = np.where(rng.random(n) < 0.2, -INF, a)
    b = np.where(rng.random(n) < 0.2, INF, b)
    a = np.where((rng.random(n) < 0.1) & (b >= 0), 0.0, a)
    b = np.where((rng.random(n) < 0.1) & (a <= 0), 0.0, b)
    return a, b


SCALAR_BOXES = [
    (None, None),
    (0.0, 1.0),
    (-1.0, 1.0),
    (0.0, None),
    (None, 0.0),
    (0.2, 0.9),
    (0.7, INF),
    (-0.9, -0.1),
    (-INF, -0.3),
    (-0.4, 1.3),
    (0.5, 0.5),
    (-0.5, -0.5),
    (0.0, 0.0),
    (-INF, INF),
]


def check(p, v, step, lower, upper, x, tolerance=2e-14):
    low = np.broadcast_to(-INF if lower is None else lower, v.shape)
    high = np.broadcast_to(INF if upper is None else upper, v.shape)
    assert x.shape == v.shape
    assert np.all(x >= low)
    assert np.all(x <= high)
    least = brute_force(p, v, step, low, high)
    mine = objective(p, x, v, step)
    scale = 0.5 * v**2 + 0.5 * x**2 + step * p.value(np.abs(x)) + tolerance
    worst = np.argmax((mine - least) / scale)
    assert mine[worst] <= least[worst] + tolerance * scale[worst], (
        f"{p}: prox({v[worst]!r}, {step[worst]!r}, {low[worst]!r}, {high[worst]!r}) gave {x[worst]!r}"
    )


@pytest.mark.parametrize("box", SCALAR_BOXES, ids=str)
def test_against_brute_force_in_a_box(family, box):
    v, step = draw_problem(7)
    check(family, v, step, *box, family.prox(v, step, *box))


def test_against_brute_force_in_many_boxes(penalty):
    v, step = draw_problem(11)
    lower, upper = boxes(11)
    check(penalty, v, step, lower, upper, penalty.prox(v, step, lower, upper))
    check(penalty, v, step, None, None, penalty.prox(v, step))


@given(data=st.data(), seed=st.integers(0, 10**6))
def test_against_brute_force_property(penalties, data, seed):
    p = data.draw(penalties)
    v, step = draw_problem(seed, 24)
    lower, upper = boxes(seed, 24)
    check(p, v, step, lower, upper, p.prox(v, step, lower, upper))
    check(p, v, step, 0.0, 1.0, p.prox(v, step, 0.0, 1.0))


@given(data=st.data(), seed=st.integers(0, 10**6))
def test_extreme_parameters(wild_penalties, data, seed):
    p = data.draw(wild_penalties)
    v, step = draw_problem(seed, 24)
    # Where interesting: steps about the size that moves v at all.
    step = step * 10 ** np.random.default_rng(seed).uniform(-3, 0, 24)
    lower, upper = boxes(seed, 24)
    check(p, v, step, lower, upper, p.prox(v, step, lower, upper))
    check(p, v, step, None, None, p.prox(v, step))


@pytest.mark.parametrize("box", [(None, None), (0.0, 1.0), "arrays"], ids=str)
def test_single_precision(penalty, box):
    v, step = (x.astype(np.float32) for x in draw_problem(13))
    lower, upper = (x.astype(np.float32) for x in boxes(13)) if box == "arrays" else box
    x = penalty.prox(v, step, lower, upper)
    assert x.dtype == np.float32
    low, high = (None if b is None else np.asarray(b, dtype=np.float64) for b in (lower, upper))
    check(penalty, v.astype(float), step.astype(float), low, high, x.astype(float), tolerance=2e-6)


def test_stationary_to_rounding(penalty):
    """An answer inside the box and away from zero and kinks has a vanishing slope of the objective."""
    rng = np.random.default_rng(3)
    v, step = rng.normal(size=2000) * 3, 10 ** rng.uniform(-3, 1, 2000)
    x = penalty.prox(v, step)
    inside = x != 0
    t = np.abs(x[inside])
    residual = t - np.abs(v[inside]) + step[inside] * penalty.derivative(t)
    # The rounding of x moves the residual by its own slope.
    slope = np.abs(1 + step[inside] * penalty.second_derivative(t))
    assert np.all(np.abs(residual) <= 1e-14 * (np.abs(v[inside]) + slope * t) * 20)


@given(data=st.data(), step=st.floats(0, 10), a=st.floats(-5, 5), b=st.floats(-5, 5))
def test_nondecreasing_in_v(penalties, data, step, a, b):
    p = data.draw(penalties)
    low, high = sorted([a, b])
    v = np.linspace(-6, 6, 301)
    for box in ((None, None), (low, high)):
        x = p.prox(v, step, *box)
        # At a tie rounding may pick either side, so compare what they are worth.
        fall = np.flatnonzero(np.diff(x) < -1e-9)
        for k in fall:
            at = np.full(2, v[k])
            values = objective(p, x[k : k + 2], at, step)
            assert abs(values[0] - values[1]) <= 1e-13 * (1 + values[0])


@given(data=st.data(), v=st.floats(-9, 9), step=st.floats(0, 10))
def test_odd_in_v(penalties, data, v, step):
    p = data.draw(penalties)
    assert p.prox(-v, step) == -p.prox(v, step)
    assert p.prox(-v, step, -2.0, 1.0) == -p.prox(v, step, -1.0, 2.0)


# -- known answers


def test_mcp_with_a_step_above_gamma():
    """Unit amplitude, gamma 1: at 1.5 the objective over the step is 0.5, at 0 it is 0.5625."""
    p = MCP.classical(lam=1.0, gamma=1.0)
    assert p.prox(1.5, 2.0) == 1.5
    assert p.prox(1.5, 2.0, 0.0, INF) == 1.5
    assert objective(p, 1.5, 1.5, 2.0) / 2 == pytest.approx(0.5)
    assert objective(p, 0.0, 1.5, 2.0) / 2 == pytest.approx(0.5625)
    # The threshold is where both are worth the same: v^2 / 2 = step gamma / 2.
    assert p.prox(math.sqrt(2) * (1 - 1e-12), 2.0) == 0
    assert p.prox(math.sqrt(2) * (1 + 1e-12), 2.0) == math.sqrt(2) * (1 + 1e-12)


def test_log_finds_the_ends_of_its_interval():
    """A box whose upper end lies between the two stationary points, or below both."""
    p = Log(0.01)
    step = 0.5
    v = 1.3
    free = p.prox(v, step)
    assert 1.0 < free < v
    for upper in (free, 0.8, 0.5, 0.1, 0.01):
        x = p.prox(v, step, 0.0, upper)
        assert x in (0.0, upper)
        other = upper if x == 0 else 0.0
        assert objective(p, x, v, step) <= objective(p, other, v, step)
    assert p.prox(v, step, 0.0, 0.8) == 0.8
    assert p.prox(v, step, 0.0, 0.1) == 0.0


def test_l1_is_the_soft_threshold():
    v = np.linspace(-3, 3, 61)
    expected = np.sign(v) * np.maximum(np.abs(v) - 0.7, 0)
    assert np.array_equal(L1().prox(v, 0.7), np.where(expected == 0, 0.0, expected))
    assert np.allclose(L1().prox(v, 0.7, -1, 2), np.clip(expected, -1, 2))


def test_mcp_is_the_firm_threshold():
    """Zhang (2010), for gamma above the step."""
    v, lam, gamma = np.linspace(-4, 4, 801), 0.6, 2.5
    a = np.abs(v)
    firm = np.where(a <= gamma * lam, np.maximum(a - lam, 0) / (1 - 1 / gamma), a)
    assert np.allclose(MCP.classical(lam, gamma).prox(v, 1.0), np.sign(v) * firm, rtol=1e-14)


def test_scad_is_that_of_fan_and_li():
    """Fan and Li (2001), equation (2.8)."""
    v, lam, a = np.linspace(-4, 4, 801), 0.6, 3.7
    z = np.abs(v)
    middle = ((a - 1) * z - a * lam) / (a - 2)
    expected = np.where(z <= 2 * lam, np.maximum(z - lam, 0), np.where(z <= a * lam, middle, z))
    assert np.allclose(SCAD.classical(lam, a).prox(v, 1.0), np.sign(v) * expected, rtol=1e-13)


def test_half_thresholding():
    """Xu, Chang, Xu, Zhang (2012): the argmin of (x - v)^2 + lam |x|^(1/2)."""
    v, lam = np.linspace(-4, 4, 801), 0.9
    z = np.abs(v)
    threshold = 54 ** (1 / 3) / 4 * lam ** (2 / 3)
    with np.errstate(all="ignore"):
        angle = np.arccos(lam / 8 * (z / 3) ** -1.5)
    x = np.where(z > threshold, 2 / 3 * z * (1 + np.cos(2 * np.pi / 3 - 2 * angle / 3)), 0.0)
    assert np.allclose(Lq(0.5).prox(v, lam / 2), np.sign(v) * x, rtol=1e-13)


def test_capped_l1_jumps_where_both_minima_are_worth_the_same():
    p = CappedL1(1.0).scaled(amplitude=1.0)
    # Soft threshold up to v = cap + step / 2, identity beyond.
    v = np.array([0.2, 1.0, 1.24, 1.26, 3.0])
    assert np.allclose(p.prox(v, 0.5), [0.0, 0.5, 0.74, 1.26, 3.0])


# -- ties, ends, special values


def test_ties_go_to_zero():
    assert CappedL1(1.0).prox(1.25, 0.5) == 0.75
    assert MCP(0.5).prox(1.0, 0.5) == 0.0
    assert CappedL1(0.5).prox(np.array([-1.0, 1.0]), 0.5).tolist() == [0.0, 0.0]


def test_zero_step_projects_exactly(penalty):
    v = np.array([-3.0, -0.2, 0.0, 0.3, 1e-300, 5.0])
    assert np.array_equal(penalty.prox(v, 0.0), v)
    assert np.array_equal(penalty.prox(v, 0.0, -0.1, 0.4), np.clip(v, -0.1, 0.4))
    assert np.array_equal(penalty.prox(v, 0.0, 0.1, 0.4), np.clip(v, 0.1, 0.4))


def test_no_negative_zero(family):
    x = family.prox(np.array([-1e-9, 1e-9, -0.0, 0.0]), 5.0)
    if not np.any(x):
        assert not np.any(np.signbit(x))


def test_special_values(penalty):
    assert math.isnan(penalty.prox(math.nan, 0.5))
    assert penalty.prox(INF, 0.5) == INF
    assert penalty.prox(-INF, 0.5) == -INF
    assert penalty.prox(INF, 0.5, 0.0, 1.0) == 1.0
    assert penalty.prox(-INF, 0.5, 0.0, 1.0) == 0.0
    v = np.array([math.nan, INF, -INF, 1.0])
    assert np.array_equal(penalty.prox(v, 0.0, -2.0, 3.0), [math.nan, 3.0, -2.0, 1.0], equal_nan=True)
    for huge in (1e150, 1e300, 1.7e308):
        assert penalty.prox(huge, 0.5) == pytest.approx(huge, rel=1e-9)
    assert penalty.prox(5e-324, 1e-30) in (0.0, 5e-324)
    assert abs(penalty.prox(1e-300, 1e-200)) <= 1e-300


# -- forms of call


def test_floats_give_a_float(family):
    for arguments in ((0.7, 0.1), (1, 1), (0.7, 0.1, -1, None), (0.7, 0, 0.0, 1.0)):
        assert type(family.prox(*arguments)) is float


def test_broadcasting_agrees_with_elements(family):
    rng = np.random.default_rng(5)
    v = rng.normal(size=(4, 1, 5))
    step = rng.uniform(0, 2, size=(3, 1))
    lower = rng.uniform(-2, 0, size=5)
    x = family.prox(v, step, lower, 1.5)
    assert x.shape == (4, 3, 5)
    for i, j, k in np.ndindex(x.shape):
        one = family.prox(float(v[i, 0, k]), float(step[j, 0]), float(lower[k]), 1.5)
        assert x[i, j, k] == pytest.approx(one, rel=1e-13, abs=1e-15)


def test_array_step_or_box_with_a_float(family):
    step = np.array([0.0, 0.1, 1.0], dtype=np.float32)
    x = family.prox(1.0, step)
    assert x.shape == (3,)
    assert x.dtype == np.float32
    assert family.prox(1.0, 0.1, np.zeros(2), 1.0).shape == (2,)


def test_dtype_of_v_is_kept(family):
    v = np.array([0.5, -1.0])
    assert family.prox(v.astype(np.float32), np.array([0.1, 0.2])).dtype == np.float32
    assert family.prox(v, np.array([1, 2])).dtype == np.float64
    assert family.prox(np.array([3, -2]), 0.5).dtype == np.float64
    assert family.prox([3, -2], 0.5).dtype == np.float64
    assert family.prox(v.astype(np.float16), 0.1).dtype == np.float16
    assert family.prox(np.zeros((0, 3)), 0.5).shape == (0, 3)


@pytest.mark.parametrize("n", [40_000, 100_003])
@pytest.mark.parametrize("box", [(None, None), (0.0, 1.0), "arrays"], ids=str)
def test_long_arrays_agree_with_short_ones(family, n, box):
    v, step = draw_problem(17, n)
    lower, upper = boxes(17, n) if box == "arrays" else box
    x = family.prox(v, step, lower, upper)
    tail = slice(n - 500, n)
    ends = (lower[tail], upper[tail]) if box == "arrays" else box
    assert np.array_equal(x[tail], family.prox(v[tail], step[tail], *ends))
    square = family.prox(v[:40_000].reshape(200, 200).T, 0.3)
    assert np.array_equal(square, family.prox(v[:40_000], 0.3).reshape(200, 200).T)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_agrees_with_numpy(penalty, dtype):
    v, step = draw_problem(19, 40)
    lower, upper = boxes(19, 40)
    for box in ((None, None), (0.0, 1.0), (lower, upper)):
        ours = [torch.tensor(b, dtype=dtype) if isinstance(b, np.ndarray) else b for b in box]
        x = penalty.prox(torch.tensor(v, dtype=dtype), torch.tensor(step, dtype=dtype), *ours)
        assert x.dtype == dtype
        low, high = (b.double().numpy() if isinstance(b, torch.Tensor) else b for b in ours)
        v_, step_ = (torch.tensor(y, dtype=dtype).double().numpy() for y in (v, step))
        tolerance = 2e-14 if dtype == torch.float64 else 2e-6
        check(penalty, v_, step_, low, high, x.double().numpy(), tolerance)
        if dtype == torch.float64:
            y = penalty.prox(v, step, *box)
            a, b = objective(penalty, x.numpy(), v, step), objective(penalty, y, v, step)
            assert np.allclose(a, b, rtol=1e-13, atol=1e-14)


def test_torch_forms(family):
    v = torch.linspace(-2, 2, 60_000, dtype=torch.float64)
    x = family.prox(v, 0.3, 0.0, 1.0)
    assert torch.equal(x[-100:], family.prox(v[-100:], 0.3, 0.0, 1.0))
    assert family.prox(v.bfloat16(), 0.3).dtype == torch.bfloat16
    assert family.prox(torch.tensor(1.3), 0.3).shape == ()
    assert family.prox(torch.zeros(0), 0.3).shape == (0,)
    assert family.prox(v.reshape(300, 200).T, 0.3).shape == (200, 300)
    mask = torch.nn.Parameter(v[:5].clone())
    with torch.no_grad():
        assert family.prox(mask, 0.3).shape == (5,)


# -- what is refused


@pytest.mark.parametrize(
    "step", [-1.0, -1e-300, math.nan, INF, np.array([0.1, -0.1]), torch.tensor([math.nan, 1])]
)
def test_bad_steps_are_refused(family, step):
    v = torch.zeros(2) if isinstance(step, torch.Tensor) else np.zeros(2)
    with pytest.raises(ValueError, match="step"):
        family.prox(v, step)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(1.0, 0.0), (math.nan, 1.0), (0.0, math.nan), (np.array([0.0, 2.0]), 1.0), (INF, INF), (-INF, -INF)],
)
def test_bad_boxes_are_refused(family, lower, upper):
    with pytest.raises(ValueError, match="box"):
        family.prox(np.zeros(2), 0.1, lower, upper)


def test_mixed_arrays_are_refused(family):
    with pytest.raises(TypeError, match="one kind"):
        family.prox(np.zeros(2), torch.ones(2))
    with pytest.raises(TypeError, match="real numbers"):
        family.prox(np.zeros(2, dtype=complex), 0.1)
    with pytest.raises(TypeError, match="real numbers"):
        family.prox("abc", 0.1)
    with pytest.raises(ValueError, match="broadcast"):
        family.prox(np.zeros(2), np.ones(3))


# -- the parts


def test_improvement_does_not_cancel():
    """At w = 1e8 the objective is 5e15, and a naive difference of two of them is rounded to 1."""
    w, step = np.float64(1e8), np.float64(1e-3)
    change = improvement(lambda t: t, w, step, np.float64(1e8), np.float64(1e8 - 1e-3))
    assert change == pytest.approx(0.5e-6 - 1e-6, rel=1e-4)


def test_best_of_prefers_the_first_of_equals():
    xp = np
    w = np.array([1.0])
    candidates = [np.array([0.0]), np.array([2.0]), np.array([math.nan])]
    assert best_of(lambda t: 0 * t, w, np.array([1.0]), candidates, xp) == 0.0

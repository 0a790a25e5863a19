"""The minorants of the penalty: below it everywhere, touching it at the ends, tight without curvature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty
from convex_analysis.branch_and_bound.envelope import chord, envelope

PENALTIES = [
    L1(),
    Log(0.01),
    Log(1.0),
    Lq(0.5),
    Lq(0.3, smoothing=0.1),
    MCP(0.3),
    MCP(3.0),
    SCAD(3.7, 0.2),
    CappedL1(0.4),
    Exponential(0.1),
    Arctan(0.3),
    Fraction(0.1),
]


class Kinked(Penalty):
    """A user's penalty with three pieces, for which no closed form of the curvature is right."""

    def __repr__(self):
        return "Kinked()"

    def value(self, t):
        return np.minimum(np.minimum(2.0 * t, 0.5 + 0.6 * t), 0.8 + 0.2 * t)

    def derivative(self, t):
        return np.where(t < 0.357142, 2.0, np.where(t < 0.75, 0.6, 0.2))


@st.composite
def boxes(draw):
    ends = st.floats(-2.0, 2.0).map(lambda v: round(v, 3))
    a, b = draw(ends), draw(ends)
    return min(a, b), max(a, b)


@pytest.mark.parametrize("penalty", [*PENALTIES, Kinked()], ids=repr)
@given(box=boxes(), scale=st.floats(0.0, 10.0), spare=st.sampled_from([0.0, 0.1, 10.0, 1e6]))
def test_the_minorant_lies_below_the_penalty_and_touches_it_at_the_ends(penalty, box, scale, spare):
    lower, upper = np.array([box[0]]), np.array([box[1]])
    minorant = envelope(penalty, np.array([scale]), lower, upper, np.array([spare]))
    t = np.linspace(*box, 301)
    truth = scale * penalty.value(np.abs(t))
    size = 1e-12 * (1.0 + scale)
    assert (minorant.value(t) <= truth + size).all()
    ends = np.array([box[0], box[1], *([0.0] if box[0] <= 0 <= box[1] else [])])
    assert np.abs(minorant.value(ends) - scale * penalty.value(np.abs(ends))).max() <= size
    assert 0.0 <= minorant.shift[0] <= spare
    assert minorant.weights[0] >= abs(minorant.linear[0]) * (1 - 1e-12) or box[0] > 0 or box[1] < 0


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@given(box=boxes())
def test_without_spare_curvature_it_is_the_convex_envelope(penalty, box):
    lower, upper = np.array([box[0]]), np.array([box[1]])
    minorant = envelope(penalty, np.ones(1), lower, upper, np.zeros(1))
    corners = np.unique([box[0], *([0.0] if box[0] < 0 < box[1] else []), box[1]])
    t = np.linspace(*box, 101)
    hull = np.interp(t, corners, penalty.value(np.abs(corners)))
    assert np.abs(minorant.value(t) - hull).max() <= 1e-12


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_curvature_on_the_unit_interval_is_close_to_the_closed_form_and_not_above_it(penalty):
    _, _, curvature = chord(penalty, np.zeros(1), np.ones(1))
    assert curvature[0] <= penalty.curvature + 1e-12
    assert curvature[0] >= 0.96 * penalty.curvature - 1e-12


def test_the_curvature_of_a_user_penalty_with_kinks_is_a_lower_bound():
    penalty = Kinked()
    for near, far in ((0.0, 1.0), (0.1, 0.5), (0.36, 0.7), (0.3, 0.31)):
        start, slope, curvature = chord(penalty, np.array([near]), np.array([far]))
        t = np.linspace(near, far, 2001)[1:-1]
        height = penalty.value(t) - start - slope * (t - near)
        assert curvature[0] <= (height / ((t - near) * (far - t))).min() + 1e-12


def test_intervals_too_short_for_arithmetic_get_no_curvature():
    near = np.array([0.5, 0.5, 0.0])
    far = near + np.array([0.0, 1e-15, 1e-300])
    _, slope, curvature = chord(Log(0.1), near, far)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(curvature, 0.0)

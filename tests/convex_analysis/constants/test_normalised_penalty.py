"""A penalty as the theorems see it."""

import numpy as np
import pytest

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty
from convex_analysis.constants import NormalisedPenalty, slope_lines

ALL = [
    L1(),
    Log(0.1),
    Lq(0.5),
    Lq(0.3, 0.1),
    MCP(0.5),
    MCP(1.0),
    MCP(2.0),
    SCAD(),
    SCAD(2.0, 0.6),
    CappedL1(0.3),
    CappedL1(1.0),
    CappedL1(1.5),
    Exponential(0.3),
    Arctan(0.4),
    Fraction(0.2),
]


@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_the_lemma_on_constants(penalty):
    view = NormalisedPenalty(penalty)
    c, rho = view.curvature.value, view.weak_convexity.value
    first, last = view.slope_at_zero.value, view.slope_at_one.value
    assert view.violation_of_axioms == 0.0
    assert c == pytest.approx(max(0.0, min(1.0, first - 1, 1 - last)), abs=1e-9)
    assert first <= 1 + rho / 2 + 1e-12
    assert last >= 1 - rho / 2 - 1e-12
    assert c <= rho / 2 + 1e-12
    t = np.linspace(0, 1, 2001)[1:-1]
    contact = view.contact.value
    if np.isfinite(contact):
        assert ((1 - view.value(t)) <= contact * (1 - t) ** 2 + 1e-12).all()
        assert last == 0.0
    else:
        assert last > 0
    assert (contact == 1.0) == (c == 1.0)


@pytest.mark.parametrize("penalty", ALL, ids=repr)
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_every_line_is_admissible(penalty, floor):
    view = NormalisedPenalty(penalty)
    s = np.concatenate([np.linspace(0, 1, 5001)[1:], np.geomspace(1e-12, 1, 200)])
    reach = s[s <= 1 - floor]
    for line in slope_lines(view, floor):
        if np.isfinite(line.b):
            assert (view.slope(1 - reach) <= line.a + line.b * reach + 1e-9 * (1 + line.b)).all(), line
            assert (view.slope(s) >= line.a0 - line.b * s - 1e-9 * (1 + line.b)).all(), line
    smallest = min(line.b for line in slope_lines(view, floor))
    assert np.isfinite(smallest) or (floor == 0 and np.isinf(view.slope_at_zero.value))


def test_the_height_is_divided_out():
    view = NormalisedPenalty(MCP.classical(0.3, 3.0))
    assert view.amplitude == pytest.approx(3.0 * 0.3**2 / 2)
    assert float(view.value(np.array([1.0]))[0]) == pytest.approx(1.0)
    assert view.curvature.value == pytest.approx(NormalisedPenalty(MCP(0.9)).curvature.value)


def test_a_penalty_that_is_not_concave_is_found_out():
    class Square(Penalty):
        def value(self, t):
            return t * t

        def derivative(self, t):
            return 2 * t

    assert NormalisedPenalty(Square()).violation_of_axioms > 1e-8

    class Nothing(Square):
        def value(self, t):
            return 0.0 * t

    with pytest.raises(ValueError, match="must be positive"):
        NormalisedPenalty(Nothing())

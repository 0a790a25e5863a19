"""The check of a user's own penalty."""

import math

import numpy as np
import pytest

from concave_sparsity import MCP, Log, Penalty, Scaled, check_axioms


def own(value, derivative):
    functions = value, derivative

    class Own(Penalty):
        def __repr__(self):
            return "Own()"

        def value(self, t):
            return functions[0](t)

        def derivative(self, t):
            return functions[1](t)

    return Own()


def test_families_pass(penalty):
    check_axioms(penalty, normalised=not isinstance(penalty, Scaled))


def test_own_passes():
    check_axioms(own(np.sqrt, lambda t: 0.5 / np.sqrt(t)))
    check_axioms(own(lambda t: np.minimum(t, 0.5) * 2, lambda t: 2.0 * (t < 0.5)))
    check_axioms(own(lambda t: np.minimum(t, 0.5) * 2, lambda t: 2.0 * (t <= 0.5)))


@pytest.mark.parametrize(
    ("value", "derivative", "sentence"),
    [
        (lambda t: t**2, lambda t: 2 * t, "below its tangents"),
        (lambda t: np.sqrt(t), lambda t: 1 / np.sqrt(t), "rises less|below its tangents"),
        (lambda t: np.sqrt(t), lambda t: 0.25 / np.sqrt(t), "below its tangents"),
        (lambda t: t + 0.1, lambda t: 0 * t + 1, r"r\(0\) must be 0, got 0.1"),
        (lambda t: 2 * t, lambda t: 0 * t + 2, r"r\(1\) must be 1, got 2.*scaled\(amplitude=0.5\)"),
        (lambda t: 0 * t, lambda t: 0 * t, r"r\(1\) must be 1, got 0"),
        (lambda t: 2 * t - t**2, lambda t: 2 - 2 * t, "must not decrease, but it does after t = 1"),
        (lambda t: np.log(t), lambda t: 1 / t, "t = 0 is not finite"),
        (lambda t: np.where(t > 5, math.nan, t), lambda t: 0 * t + 1, "not finite"),
        (lambda t: np.sqrt(t), lambda t: np.where(t > 0, 0.5 / np.sqrt(t), math.nan), "t = 0 is not finite"),
        (lambda t: float(np.max(t)), lambda t: 0 * t + 1, "one number for each"),
        (lambda t: t, lambda t: -1.0 + 0 * t, "below its tangents"),
    ],
)
def test_violations_are_named(value, derivative, sentence):
    with pytest.raises(ValueError, match=rf"Own\(\): .*({sentence})"):
        check_axioms(own(value, derivative))


def test_not_normalised_on_request():
    check_axioms(MCP.classical(0.3, 3.0), normalised=False)
    with pytest.raises(ValueError, match="must be 1"):
        check_axioms(MCP.classical(0.3, 3.0))
    check_axioms(Log(0.1), upper=1e6)


def test_a_class_is_told_from_a_penalty():
    with pytest.raises(TypeError, match="takes a penalty, such as"):
        check_axioms(Log)

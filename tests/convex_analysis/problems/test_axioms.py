"""A penalty that breaks the axioms gets no certificate: the problem refuses it."""

import gc

import numpy as np
import pytest

from concave_sparsity import MCP, Log, Penalty, axioms
from convex_analysis import MaskProblem, RegressionProblem


def penalty(value, derivative):
    class Own(Penalty):
        def value(self, t):
            return value(np.asarray(t, dtype=float))

        def derivative(self, t):
            return derivative(np.asarray(t, dtype=float))

    return Own()


BROKEN = {
    "convex": (lambda t: t**2, lambda t: 2 * t),
    "not zero at zero": (lambda t: 1 + t, lambda t: np.ones_like(t)),
    "decreasing": (lambda t: -t, lambda t: -np.ones_like(t)),
    "decreasing far out": (lambda t: t - t**2 / 100, lambda t: 1 - t / 50),
    "a wrong slope": (lambda t: np.sqrt(t + 1) - 1, lambda t: np.ones_like(t)),
    "NaN": (lambda t: np.where(t > 1, np.nan, t), lambda t: np.ones_like(t)),
    "one number for many": (lambda t: 0.0, lambda t: 0.0),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_a_penalty_that_breaks_the_axioms_is_refused(fault, kind):
    with pytest.raises(ValueError, match=r"Own"):
        kind(np.eye(3), np.ones(3), penalty=penalty(*BROKEN[fault]))
    with pytest.raises(ValueError, match=r"Own"):
        kind(np.eye(3), np.ones(3)).with_penalty(penalty(*BROKEN[fault]).scaled(2.0, 3.0))


def test_a_good_one_need_not_be_normalised_and_is_looked_at_once():
    calls = []

    def value(t):
        calls.append(t)
        return 5 * np.log1p(3 * t)

    own = penalty(value, lambda t: 15 / (1 + 3 * t))
    RegressionProblem(np.eye(3), np.ones(3), penalty=own)
    assert calls
    calls.clear()
    MaskProblem(np.eye(3), np.ones(3), penalty=own)
    RegressionProblem(np.eye(3), np.ones(3)).with_penalty(own.scaled(2.0))
    assert not calls


def test_memory_of_checked_penalties_ends_with_them():
    own = penalty(lambda t: np.log1p(t), lambda t: 1 / (1 + t))
    RegressionProblem(np.eye(3), np.ones(3), penalty=own)
    key = id(own), (10.0, 1e6)
    assert axioms._checked[key] is own
    del own
    gc.collect()
    assert key not in axioms._checked


@pytest.mark.parametrize("family", [Log(1e-6), MCP.classical(0.1, 3.0)], ids=repr)
def test_the_families_are_not_looked_at(family, monkeypatch):
    monkeypatch.setattr(axioms, "check_axioms", None)
    RegressionProblem(np.eye(3), np.ones(3), penalty=family)

"""Penalties to try everything on: a list for parametrised tests, a strategy for property tests."""

import numpy as np
import pytest
from hypothesis import strategies as st

from concave_sparsity import (
    L1,
    MCP,
    SCAD,
    Arctan,
    CappedL1,
    Exponential,
    Fraction,
    Log,
    Lq,
    Penalty,
    penalty_from_name,
)

EXAMPLES = [
    L1(),
    Log(0.1),
    Log(0.01),
    Log(10.0),
    Log(1e-12),
    Log(1e12),
    Lq(0.5),
    Lq(0.05),
    Lq(0.97),
    Lq(0.3, 0.01),
    Lq(2 / 3, 1e-9),
    Lq(0.5, 30.0),
    MCP(1.0),
    MCP(3.0),
    MCP(0.3),
    MCP(1e-3),
    SCAD(),
    SCAD(1.01, 0.6),
    SCAD(2.5, 0.5),
    SCAD(3.7, 2.0),
    SCAD(50.0, 0.001),
    CappedL1(0.3),
    CappedL1(1.0),
    CappedL1(2.0),
    Exponential(0.1),
    Exponential(1.0),
    Exponential(1e-3),
    Exponential(1e9),
    Arctan(0.3),
    Arctan(1.0),
    Arctan(4.0),
    Arctan(1e-6),
    Arctan(1e9),
    Fraction(0.1),
    Fraction(1.0),
    Fraction(1e-9),
    Fraction(1e6),
    MCP.classical(0.5, 3.0),
    SCAD.classical(0.3),
    Log.classical(0.1),
    Lq(0.5, 0.1).scaled(0.2, 3.0),
    CappedL1(0.5).scaled(2.0, 7.0),
    Arctan(0.2).scaled(5.0, 0.1),
]


def _positive(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats spread evenly in their logarithm."""
    return st.floats(np.log10(low), np.log10(high)).map(lambda x: float(10**x))


def _families(low: float, high: float) -> st.SearchStrategy[Penalty]:
    width = _positive(low, high)
    q = st.floats(0.02, 0.98)
    return st.one_of(
        st.just(L1()),
        st.builds(Log, width),
        st.builds(Exponential, width),
        st.builds(Arctan, width),
        st.builds(Fraction, width),
        st.builds(Lq, q),
        st.builds(Lq, q, width),
        st.builds(MCP, width),
        st.builds(CappedL1, width),
        st.builds(SCAD, width.map(lambda x: 1 + x), width),
    )


def _with_scaled(families: st.SearchStrategy[Penalty]) -> st.SearchStrategy[Penalty]:
    scale = _positive(0.05, 20.0)
    return families | st.builds(lambda p, s, a: p.scaled(s, a), families, scale, scale)


@pytest.fixture(scope="session")
def penalties() -> st.SearchStrategy[Penalty]:
    """Penalties of all families with moderate parameters, scaled ones among them."""
    return _with_scaled(_families(0.01, 100.0))


@pytest.fixture(scope="session")
def wild_penalties() -> st.SearchStrategy[Penalty]:
    """Penalties of all families with parameters from 1e-12 to 1e12."""
    return _families(1e-12, 1e12)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "penalty" in metafunc.fixturenames:
        metafunc.parametrize("penalty", EXAMPLES, ids=repr)
    if "family" in metafunc.fixturenames:
        names = ["l1", "log", "lq", "mcp", "scad", "capped-l1", "exponential", "arctan", "fraction"]
        metafunc.parametrize("family", [penalty_from_name(name) for name in names], ids=repr)

"""Penalties as text: a round trip for every family, sentences for what cannot be read."""

import pytest

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty
from concave_sparsity.penalty_text import parse_penalty, penalty_text

ALL = [
    L1(),
    Log(0.02),
    Log(1 / 3),
    Lq(0.5),
    Lq(0.25, 0.01),
    MCP(3.0),
    SCAD(3.7, 0.25),
    CappedL1(0.5),
    Exponential(0.1),
    Arctan(0.3),
    Fraction(0.1),
]


@pytest.mark.parametrize("given", ALL, ids=repr)
def test_round_trip(given):
    assert parse_penalty(penalty_text(given)) == given


def test_forms():
    assert parse_penalty(" Log( eps = 0.1 ) ") == Log(0.1)
    assert parse_penalty("lq(0.5, smoothing=0.01)") == Lq(0.5, 0.01)
    assert parse_penalty("l1") == parse_penalty("l1()") == L1()
    assert parse_penalty(Log(0.5)) == Log(0.5)
    assert parse_penalty("concave_sparsity:L1") == L1()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lgo(0.1)", "unknown penalty 'lgo' .*; the penalties are"),
        ("log(a)", "the parameters of a penalty are numbers, got 'a'"),
        ("log(0.1, 0.2)", "log takes eps; got"),
        ("log(delta=0.1)", "log takes eps; got"),
        ("mcp(gama=2)", "mcp takes gamma; got"),
        ("log(-1)", "eps"),
        ("3", "written like log"),
        ("os:getcwd", "is a str, not a Penalty"),
    ],
)
def test_errors(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_penalty(text)


def test_what_has_no_text():
    with pytest.raises(ValueError, match="has no name that a file could hold"):
        penalty_text(Log(0.1).scaled(2.0))


class Square(Penalty):
    def value(self, t):
        return t * t

    def derivative(self, t):
        return 2 * t


class Root(Penalty):
    def value(self, t):
        return t**0.5

    def derivative(self, t):
        return 0.5 * t**-0.5


def test_a_penalty_of_the_users_own_is_looked_at():
    with pytest.raises(ValueError, match="must lie below its tangents"):
        parse_penalty(Square())
    with pytest.raises(ValueError, match="must lie below its tangents"):
        parse_penalty(Square().scaled(2.0))
    root = Root()
    assert parse_penalty(root) is root

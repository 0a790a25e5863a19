import numpy as np
import pytest

from convex_analysis.parameters import (
    Flag,
    Function,
    Kind,
    Nothing,
    Number,
    Numbers,
    Rule,
    Word,
    check_parameters,
)


def check(value: object, *rules: Rule) -> None:
    check_parameters("Model", {"setting": value}, {"setting": rules})


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (0.0, Number(low=0)),
        (np.float32(0.5), Number(low=0, high=1)),
        (3, Number(low=0)),
        (np.int64(3), Number(low=1, integer=True)),
        ("l1", Word(("l1", "zero"))),
        ("anything", Word()),
        (True, Flag()),
        (np.False_, Flag()),
        (None, Nothing()),
        (len, Function()),
        (-np.inf, Numbers()),
        ([0.0, np.inf], Numbers()),
        (np.arange(3), Numbers()),
        ({"eps": 1.0}, Kind((dict,), "a dict")),
    ],
)
def test_what_a_rule_allows(value: object, rule: Rule) -> None:
    check(value, rule)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (-1.0, Number(low=0)),
        (0.0, Number(low=0, above=True)),
        (np.nan, Number()),
        (np.inf, Number(low=0)),
        (2.0, Number(high=1)),
        (0, Number(low=1, integer=True)),
        ("one", Word(("l1", "zero"))),
        (np.nan, Numbers()),
        ([0.0, np.nan], Numbers()),
    ],
)
def test_a_wrong_value_is_a_value_error(value: object, rule: Rule) -> None:
    with pytest.raises(ValueError, match=r"setting of Model must be .*; got "):
        check(value, rule)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("1", Number()),
        (True, Number()),
        (1.0, Number(integer=True)),
        (1, Word()),
        (1, Flag()),
        (0, Nothing()),
        (int, Function()),
        ("12", Numbers()),
        ([[1.0]], Numbers()),
        ([1.0, [2.0]], Numbers()),
        (None, Numbers()),
    ],
)
def test_a_wrong_type_is_a_type_error(value: object, rule: Rule) -> None:
    with pytest.raises(TypeError, match=r"setting of Model must be .*; got "):
        check(value, rule)


def test_one_fitting_rule_suffices_and_the_message_names_all() -> None:
    check(None, Number(low=1, integer=True), Nothing())
    with pytest.raises(ValueError, match="an integer at least 1, or None; got 0"):
        check(0, Number(low=1, integer=True), Nothing())

"""Penalties by name and from files."""

import dataclasses
import json
import math

import pytest

from concave_sparsity import (
    MCP,
    PENALTIES,
    SCAD,
    Log,
    Lq,
    Penalty,
    check_axioms,
    penalty_from_dict,
    penalty_from_name,
)


def test_names():
    assert list(PENALTIES) == [
        "l1", "log", "lq", "mcp", "scad", "capped-l1", "exponential", "arctan", "fraction",
    ]  # fmt: skip
    for name, cls in PENALTIES.items():
        assert cls.name == name
        assert isinstance(penalty_from_name(name), cls)
        check_axioms(penalty_from_name(name))


def test_catalogue_cannot_be_written_to():
    with pytest.raises(TypeError):
        PENALTIES["mine"] = Log


def test_from_name():
    assert penalty_from_name("log", eps=0.3) == Log(0.3)
    assert penalty_from_name("lq", q=0.3, smoothing=0.1) == Lq(0.3, 0.1)
    with pytest.raises(ValueError, match="unknown penalty 'lasso'; the penalties are l1, log, lq, mcp"):
        penalty_from_name("lasso")
    with pytest.raises(TypeError, match="penalty 'mcp' has no parameter 'eps'; it takes gamma"):
        penalty_from_name("mcp", eps=0.1)
    with pytest.raises(TypeError, match="penalty 'l1' has no parameter 'eps'; it takes none"):
        penalty_from_name("l1", eps=0.1)
    with pytest.raises(ValueError, match="gamma must be positive"):
        penalty_from_name("mcp", gamma=-1)
    with pytest.raises(ValueError, match="unknown penalty"):
        penalty_from_name("scaled", penalty=Log())
    with pytest.raises(ValueError, match="unknown penalty"):
        penalty_from_name(["log"])


def test_dictionary_there_and_back(penalty):
    text = json.dumps(penalty.to_dict(), allow_nan=False)
    assert penalty_from_dict(json.loads(text)) == penalty


def test_dictionary_form():
    assert Log(0.1).to_dict() == {"name": "log", "parameters": {"eps": 0.1}}
    assert MCP(2.0).scaled(0.5, 3.0).to_dict() == {
        "name": "scaled",
        "parameters": {
            "penalty": {"name": "mcp", "parameters": {"gamma": 2.0}},
            "scale": 0.5,
            "amplitude": 3.0,
        },
    }
    assert penalty_from_dict({"name": "scad"}) == SCAD()


@pytest.mark.parametrize(
    ("description", "error", "sentence"),
    [
        ("log", ValueError, "described by"),
        (None, ValueError, "described by"),
        ({}, ValueError, "described by"),
        ({"name": "log", "eps": 0.1}, ValueError, "described by"),
        ({"name": "os.system", "parameters": {}}, ValueError, "unknown penalty 'os.system'"),
        ({"name": "__import__"}, ValueError, "unknown penalty"),
        ({"name": 3}, ValueError, "unknown penalty"),
        ({"name": "log", "parameters": [0.1]}, ValueError, "named numbers"),
        ({"name": "log", "parameters": {1: 0.1}}, ValueError, "named numbers"),
        ({"name": "log", "parameters": {"eps": "0.1"}}, TypeError, "real number"),
        ({"name": "log", "parameters": {"eps": math.nan}}, ValueError, "finite"),
        ({"name": "log", "parameters": {"eps": {"name": "log"}}}, TypeError, "real number"),
        ({"name": "log", "parameters": {"__class__": 1}}, TypeError, "no parameter '__class__'"),
        ({"name": "scaled", "parameters": {"penalty": 3}}, TypeError, "Penalty"),
    ],
)
def test_bad_descriptions_are_refused(description, error, sentence):
    with pytest.raises(error, match=sentence):
        penalty_from_dict(description)


@dataclasses.dataclass(frozen=True)
class Mine(Penalty):
    width: float = 0.5

    def value(self, t):
        return t

    def derivative(self, t):
        return 0 * t + 1


def test_own_classes_by_request():
    description = Mine(0.2).to_dict()
    assert description == {"name": "mine", "parameters": {"width": 0.2}}
    with pytest.raises(ValueError, match="unknown penalty 'mine'"):
        penalty_from_dict(description)
    assert penalty_from_dict(description, own=[Mine]) == Mine(0.2)
    nested = Mine(0.2).scaled(2.0, 3.0)
    assert penalty_from_dict(nested.to_dict(), own=[Mine]) == nested


def test_plain_class_has_no_dictionary():
    class Plain(Penalty):
        def value(self, t):
            return t

        def derivative(self, t):
            return 0 * t + 1

    with pytest.raises(TypeError, match="parameters of Plain are unknown"):
        Plain().to_dict()

import pytest

from concave_sparsity import L1, MCP, SCAD, Log, Penalty
from convex_analysis.estimators.penalties import penalty_at


def test_a_name_with_parameters() -> None:
    assert penalty_at("log", {"eps": 0.3}, 0.7) == (Log(0.3), 0.7)
    assert penalty_at("l1", None, 0.7) == (L1(), 0.7)


def test_an_object_is_taken_as_it_is() -> None:
    penalty = MCP(2.0)
    assert penalty_at(penalty, None, 0.7) == (penalty, 0.7)
    with pytest.raises(ValueError, match="has its own already"):
        penalty_at(penalty, {"gamma": 3.0}, 0.7)


def test_a_function_has_alpha_in_its_shape() -> None:
    assert penalty_at(MCP.classical, {"gamma": 4.0}, 0.7) == (MCP.classical(0.7, 4.0), 1.0)
    assert penalty_at(SCAD.classical, None, 0.7) == (SCAD.classical(0.7), 1.0)
    assert penalty_at(MCP.classical, None, 0.0)[1] == 0.0


def test_faults() -> None:
    with pytest.raises(ValueError, match="mpc"):
        penalty_at("mpc", None, 0.7)
    with pytest.raises(TypeError, match="eps"):
        penalty_at("mcp", {"eps": 0.1}, 0.7)
    with pytest.raises(TypeError, match="must return a Penalty"):
        penalty_at(lambda alpha: "mcp", None, 0.7)  # type: ignore[arg-type, return-value]
    assert issubclass(Log, Penalty)

"""The convex benchmark over small data, without the peers: what it stores, what it says of missing data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "convex.py"
PEERS = ["skglm", "celer", "glum", "scikit", "cvxpy", "scipy"]
SETTINGS = {"seed": 0, "repeats": 1, "quick": True}


@pytest.fixture
def convex(monkeypatch):
    """The program as a module; only a piece with one thread is made in a process of its own."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import convex
    import convex_timing

    monkeypatch.setattr(convex_timing, "gc", Mock())  # to collect all objects of the tests takes a second
    fresh = convex._in_process

    def here(name, settings, leave_out, *, one_thread=False, ours_alone=False):
        if one_thread:
            return fresh(name, settings, leave_out, one_thread=True, ours_alone=ours_alone)
        made = convex._made(**SETTINGS, name=name, ours_alone=ours_alone, leave_out=leave_out)
        return json.loads(json.dumps(made))

    monkeypatch.setattr(convex, "_in_process", here)
    return convex


def test_a_run_stores_each_piece_and_goes_on_where_it_stopped(convex, tmp_path, capsys):
    file = tmp_path / "results.json"
    words = {"cases": ["huber", "warm-step"], "smoke": True, "output": file, "leave_out": PEERS, "repeats": 1}
    convex.run(**words, minutes=0)
    assert "2 of 2 pieces are left" in capsys.readouterr().out
    assert not file.exists()
    convex.run(**words)
    stored = json.loads(file.read_text())["cases"]
    assert set(stored) == {"huber", "warm-step"}
    (case,) = stored["huber"]["runs"]
    assert all(row["reached"] and row["seconds"] for row in case["rows"])
    assert all(one["ratio"] is None for one in case["verdicts"])  # no peer was run: nothing is claimed
    assert all(row["one_thread"] for row in case["rows"])
    assert max(stored["warm-step"]["warm_seconds"]) > 0.0
    assert {"python", "numpy", "numba"} <= set(stored["huber"]["environment"]["versions"])
    capsys.readouterr()
    convex.run(**words)
    assert "1 of" not in capsys.readouterr().out  # nothing is made twice


def test_a_concave_case_is_run_with_and_without_refinement(convex, monkeypatch):
    import convex_cases

    data = convex_cases._concave_data

    def fewer(quick, seed):
        X, y, lam = data(quick, seed)
        return X[:60, :90], y[:60], lam

    monkeypatch.setattr(convex_cases, "_concave_data", fewer)
    (case,) = convex._made(**SETTINGS, name="mcp", ours_alone=False, leave_out=PEERS)["runs"]
    assert all(row["reached"] and row["seconds"] for row in case["rows"])
    assert all(one["ratio"] is None for one in case["verdicts"])
    names = [row["solver"] for row in case["rows"]]
    assert names[:2] == ["convex_analysis", "convex_analysis, refine=False"]


def test_cases_whose_data_are_missing_are_left_out_with_the_reason(tmp_path):
    words = ["riboflavin", "--smoke", "--output", tmp_path / "none.json"]
    ended = subprocess.run(
        [sys.executable, PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CONCAVE_SPARSITY_DATA": ""},
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "set CONCAVE_SPARSITY_DATA" in ended.stdout + ended.stderr
    assert not (tmp_path / "none.json").exists()

"""The convex benchmark over small data, without the peers: what it stores, what it says of missing data."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "convex.py"
PEERS = ["skglm", "celer", "glum", "scikit", "cvxpy", "scipy"]


def run(*arguments, **environment):
    """Run the program; return what it wrote."""
    ended = subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout + ended.stderr


def test_a_run_stores_each_piece_and_goes_on_where_it_stopped(tmp_path):
    file = tmp_path / "results.json"
    words = ("mcp", "warm-step", "--smoke", "--output", file, "--leave-out", *PEERS)
    said = run(*words, "--minutes", 0)
    assert "2 of 2 pieces are left" in said
    assert not file.exists()
    run(*words)
    stored = json.loads(file.read_text())["cases"]
    assert set(stored) == {"mcp", "warm-step"}
    (case,) = stored["mcp"]["runs"]
    assert all(row["reached"] and row["seconds"] for row in case["rows"])
    assert all(one["ratio"] is None for one in case["verdicts"])  # no peer was run: nothing is claimed
    assert all(row["one_thread"] for row in case["rows"])
    names = [row["solver"] for row in case["rows"]]
    assert names[:2] == ["convex_analysis", "convex_analysis, refine=False"]
    assert max(stored["warm-step"]["warm_seconds"]) > 0.0
    assert {"python", "numpy", "numba"} <= set(stored["mcp"]["environment"]["versions"])
    assert "1 of" not in run(*words)  # nothing is made twice


def test_cases_whose_data_are_missing_are_left_out_with_the_reason(tmp_path):
    said = run("riboflavin", "--smoke", "--output", tmp_path / "none.json", CONCAVE_SPARSITY_DATA="")
    assert "set CONCAVE_SPARSITY_DATA" in said
    assert not (tmp_path / "none.json").exists()

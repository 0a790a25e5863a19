"""The convex benchmark over small data, without the peers: what it stores, what it says of missing data."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "convex.py"
PEERS = ["skglm", "celer", "glum", "scikit", "cvxpy", "scipy"]


def run(*arguments, **environment):
    """Run the program; return what it wrote to stderr."""
    ended = subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stderr


def test_a_quick_run_stores_each_case_with_what_reached_the_accuracy(tmp_path):
    file = tmp_path / "results.json"
    run("box-easy", "mcp", "--quick", "--output", file, "--leave-out", *PEERS)
    run("warm-step", "--quick", "--output", file)
    stored = json.loads(file.read_text())["cases"]
    assert set(stored) == {"box-easy", "mcp", "warm-step"}
    for name in ("box-easy", "mcp"):
        (case,) = stored[name]["runs"]
        assert all(row["reached"] and row["seconds"] for row in case["rows"])
        assert all(one["ratio"] is None for one in case["verdicts"])  # no peer was run: nothing is claimed
    names = [row["solver"] for row in stored["mcp"]["runs"][0]["rows"]]
    assert names[:3] == ["convex_analysis", "convex_analysis, one thread", "convex_analysis, refine=False"]
    assert max(stored["warm-step"]["warm_seconds"]) > 0.0
    assert {"python", "numpy", "numba"} <= set(stored["mcp"]["environment"]["versions"])


def test_cases_whose_data_are_missing_are_left_out_with_the_reason(tmp_path):
    said = run(
        "riboflavin", "news20", "--quick", "--output", tmp_path / "none.json", CONCAVE_SPARSITY_DATA=""
    )
    assert "riboflavin: set CONCAVE_SPARSITY_DATA" in said
    assert "news20: set CONCAVE_SPARSITY_DATA" in said
    assert not (tmp_path / "none.json").exists()

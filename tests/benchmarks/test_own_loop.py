"""The benchmark of a masked step in a loop of one's own, over tiny settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import own_loop

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "own_loop.py"


def test_the_smoke_run_compares_search_and_hold_with_the_dense_step_and_prints_the_table(tmp_path, capsys):
    try:
        own_loop.main(["--smoke", "--threads", str(torch.get_num_threads()), "--out", str(tmp_path)])
    finally:
        torch.set_flush_denormal(False)  # the benchmark sets it
    (path,) = tmp_path.glob("own-loop-*.json")
    told = json.loads(path.read_text())
    ((label, step),) = told["steps"].items()
    assert set(step["over_dense"]) == {"search", "hold"}
    for kind, ratio in step["over_dense"].items():
        low, high = step["quartiles"][kind]
        assert 0 < low <= ratio <= high
    assert f"| {label} | " in capsys.readouterr().out


@pytest.mark.slow
def test_this_tree_beside_itself_finds_the_same_tickets():
    command = [sys.executable, PROGRAM.with_name("loop_before.py"), PROGRAM.parents[1], "--smoke"]
    ended = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("the same ticket") == 2

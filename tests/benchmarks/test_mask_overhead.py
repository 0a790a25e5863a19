"""The benchmark of the mask's overhead, over tiny settings."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "mask_overhead.py"


def test_the_smoke_run_compares_every_masked_step_with_the_dense_one(tmp_path):
    command = [sys.executable, PROGRAM, "--smoke", "--threads", "1", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads((tmp_path / "mask-overhead-cpu.json").read_text())
    (step,) = told["steps"].values()
    assert set(step["over_dense"]) == {"search", "fixed mask", "scored mask"}
    assert all(ratio > 0 for ratio in step["over_dense"].values())
    assert step["milliseconds"]["dense"] > 0
    assert told["target"] == 1.10
    assert told["environment"]["threads"] >= 1

"""The benchmark of the run machinery over tiny settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "run_machinery.py"


@pytest.mark.slow
def test_the_smoke_run_measures_everything(tmp_path):
    out = tmp_path / "out.json"
    ended = subprocess.run(
        [sys.executable, PROGRAM, "--smoke", "--out", out], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(out.read_text())
    assert told["stored"]["runs"] == 30
    assert told["stored"]["report_seconds"] > 0
    assert told["throughput"]["1 worker"]["runs"] == 7
    assert all("processor_overhead" in found for found in told["overhead"].values())

"""Two processes under DistributedDataParallel, each with samples of its own, find one ticket."""

import subprocess
import sys
from pathlib import Path

LAUNCHER = Path(__file__).parents[1] / "two_processes.py"
PROGRAM = Path(__file__).with_name("ddp_program.py")


def test_two_processes_find_the_same_ticket_to_the_bit():
    run = [sys.executable, "-W", "ignore", LAUNCHER, PROGRAM]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert sorted(ended.stdout.splitlines()) == ["adamw True True"] * 2 + ["sgd True True"] * 2

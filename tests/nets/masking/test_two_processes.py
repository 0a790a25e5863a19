"""Two processes under DistributedDataParallel, each with samples of its own, find one ticket."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("two_processes.py")


def test_two_processes_find_the_same_ticket_to_the_bit(tmp_path):
    run = [sys.executable, "-W", "ignore", PROGRAM]
    started = [
        subprocess.Popen([*run, str(rank), tmp_path / "store"], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        assert said.split("\n")[:2] == ["sgd True True", "adamw True True"]

"""The benchmark of a GPU, its code run on the CPU over tiny settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_the_smoke_run_measures_everything(tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ways = ["eager", "graphs"]
    command = [sys.executable, PROGRAM, "--smoke", "--full", "--ways", *ways, "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    (path,) = tmp_path.iterdir()
    assert path.name == "gpu-cpu.json"
    told = json.loads(path.read_text())
    assert set(told["environment"]["versions"]) >= {"torch", "python"}
    roof = told["roof"]
    assert roof["steps_an_epoch"] == 3
    # ResNet-20: 41 million multiply-adds an image of 32 x 32 (He et al. 2016), three passes of 16.
    assert roof["flops_a_step"] == pytest.approx(3 * 16 * 2 * 40.8e6, rel=0.02)
    assert roof["least_epoch_seconds"] > 0
    # One way that fails leaves the others alone: there are no CUDA graphs on a CPU.
    assert "graphs need a CUDA device" in told["ways"].pop("graphs")["failure"]
    assert list(told["ways"]) == ways[:1]
    for found in told["ways"].values():
        assert found["dense_epoch_seconds"] > 0
        assert found["search_over_dense"] == pytest.approx(
            found["search_epoch_seconds"] / found["dense_epoch_seconds"]
        )
    assert [one["at_once"] for one in told["at_once"]] == [2]
    assert all(one["tickets_an_hour"] > 0 for one in told["at_once"])
    (whole,) = told["whole"].values()
    assert told["targets"]["ticket_seconds"]["reached"] == whole["ticket_seconds"]


def test_without_a_gpu_one_sentence_says_so(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import gpu

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="needs a CUDA device; --smoke runs its code on any machine"):
        gpu.main()

"""The benchmark of the mask's overhead, over tiny settings."""

import json

import torch

from benchmarks import mask_overhead


def test_the_smoke_run_compares_every_masked_step_with_the_dense_one(tmp_path):
    mask_overhead.main(["--smoke", "--threads", str(torch.get_num_threads()), "--out", str(tmp_path)])
    told = json.loads((tmp_path / "mask-overhead-cpu.json").read_text())
    (step,) = told["steps"].values()
    assert set(step["over_dense"]) == {"search", "fixed mask", "scored mask"}
    assert all(ratio > 0 for ratio in step["over_dense"].values())
    assert step["milliseconds"]["dense"] > 0
    assert told["target"] == 1.10
    assert told["environment"]["threads"] >= 1

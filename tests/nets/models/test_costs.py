"""Operations of inference and search, counted by hand where they can be."""

import math

import pytest

import nets
from nets import Play
from nets.lottery import play_densities
from nets.models.flops import training_flops


def test_a_dense_lenet_on_digits_is_counted_by_hand():
    result = nets.play(Play(method="random", density=0.1, epochs=1))
    weights = 64 * 300 + 300 * 100 + 100 * 10
    assert result.dense_inference_flops == 2 * weights
    assert result.inference_flops == 2 * result.kept
    assert result.search_flops == 0


def test_searches_cost_three_inferences_a_sample():
    result = nets.play(Play(method="magnitude", density=0.1, epochs=2))
    samples = result.search_flops / (3 * result.dense_inference_flops * result.search_epochs)
    assert samples == 1258
    assert training_flops(10.0, 7, 2.0) == 420.0


def test_a_small_dense_network_infers_in_fewer_operations():
    ((result, _),) = play_densities(Play(method="random", density=0.1, epochs=1), (0.1,), ("small-dense",))
    assert result.inference_flops == 2 * result.kept
    assert result.dense_inference_flops == 2 * result.total


def test_runs_stored_without_the_counts_are_still_read(tmp_path):
    import json

    from nets.runs.folder import RunFolder
    from nets.runs.results import result_of

    nets.run(Play(method="random", density=0.1, epochs=1), tmp_path)
    (path,) = (p for p in tmp_path.glob("*/result.json") if "random" in p.read_text())
    assert math.isfinite(result_of(RunFolder(path.parent)).inference_flops)
    assert json.loads(path.read_text())
    row = RunFolder(path.parent).result()
    without = {name: value for name, value in row.items() if "flops" not in name}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "result", lambda _: without)
        assert math.isnan(result_of(RunFolder(path.parent)).inference_flops)

import json

import pandas as pd
import pytest

import nets
from nets import Play
from nets.runs.canonical import address
from nets.runs.execution import execute
from nets.runs.folder import BadRun
from nets.runs.jobs import Job, Keeping
from nets.runs.results import BadRunWarning, result_of, results


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs")
    for method in ("concave", "random"):
        for seed in (0, 1):
            execute(Job(Play(epochs=1, method=method, seed=seed, density=0.1), (0.1,)), Keeping(made))
    (made / ("0" * 32)).mkdir()  # a run that was only begun
    return made


def test_one_row_a_finished_run(root):
    frame = nets.results(root)
    assert len(frame) == 6
    assert list(frame["method"]) == ["concave", "concave", "dense", "dense", "random", "random"]
    assert list(frame.columns[:6]) == ["run", "data", "model", "method", "penalty", "density"]
    assert frame["run"].is_unique
    play = Play(epochs=1, method="random", seed=1, density=0.1)
    row = frame[frame["run"] == address(play)].iloc[0]
    assert row["seed"] == 1
    assert row["asked_density"] == 0.1
    assert row["dense_test_accuracy"] == frame[frame["run"] == row["dense"]].iloc[0]["test_accuracy"]
    assert row["layer_densities"].keys() == {"1.weight", "3.weight", "5.weight"}
    assert pd.isna(row["search_lam"])


def test_an_empty_folder_and_none(tmp_path):
    assert results(tmp_path).empty
    assert "test_accuracy" in results(tmp_path).columns
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        results(tmp_path / "none")


def test_a_tampered_run_is_left_out_and_warned_of(root, tmp_path):
    import shutil

    shutil.copytree(root, tmp_path / "copy")
    path = tmp_path / "copy" / address(Play(epochs=1, method="random", seed=1, density=0.1)) / "result.json"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "test_accuracy": 1.0}))
    with pytest.warns(BadRunWarning, match="left out: .*changed or damaged"):
        assert len(results(tmp_path / "copy")) == 5


def test_a_result_is_read_back(root):
    folder = Keeping(root).folder(Play(epochs=1, method="concave", density=0.1))
    result = result_of(folder)
    assert result.play.method == "concave"
    assert result.report.keys() >= {"lam", "cut_loss"}
    assert len(result.metrics) == 1
    with pytest.raises(BadRun, match="missing"):
        result_of(Keeping(root).folder(Play(seed=99)))

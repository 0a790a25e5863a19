"""Plays and trainings: defaults by data set, bad values refused with a sentence, no torch."""

import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from concave_sparsity import MCP, Log
from nets.configuration import Play, Training


def test_no_torch_is_imported():
    code = "import sys, nets, nets.configuration, nets.result; nets.Play(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_usual_values_follow_the_data_set():
    assert Play(data="mnist").epochs == Training.usual("mnist").epochs
    assert Play(data="mnist").batch_size == 128
    assert Play(data="mnist", epochs=2).epochs == 2
    assert Play(data="mnist").training == Training.usual("mnist")
    assert Play(epochs=6, search_epochs=4).search_training == replace(Play(epochs=6).training, epochs=4)


def test_penalty_is_kept_as_text_and_options_as_sorted_pairs():
    assert Play(penalty=Log(0.02)).penalty == "log(0.02)"
    assert Play(penalty=MCP(2.0)).penalty == "mcp(2)"
    play = Play(options={"b": 2, "a": 1.5})
    assert play.options == (("a", 1.5), ("b", 2))
    assert pickle.loads(pickle.dumps(play)) == play
    assert hash(play) == hash(replace(play))


def test_where_it_runs_is_no_part_of_what_it_is():
    assert Play(data_dir="/a") == Play(data_dir="/b")
    assert hash(Play(device="cpu")) == hash(Play(device="cuda"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"density": 0.0}, r"density must be in \(0, 1\], a share of the weights, got 0.0"),
        ({"density": 1.5}, "density must be in"),
        ({"density": float("nan")}, "density must be in"),
        ({"epochs": -1}, "epochs must be at least 1, got -1"),
        (
            {"optimiser": "sdg"},
            "unknown optimiser 'sdg' .did you mean 'sgd'.*; the optimisers are sgd, adam, adamw",
        ),
        ({"schedule": "up"}, "unknown schedule 'up'; the schedules are"),
        ({"lr": -0.1}, "lr must be positive"),
        ({"lr": float("nan")}, "lr must be positive"),
        ({"momentum": 1.0}, "momentum must be in"),
        ({"weight_decay": -1e-4}, "weight_decay must be 0 or more"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov must be False where momentum is 0"),
        ({"rewind": -1}, "rewind must be 0"),
        ({"milestones": (0.5, 60)}, "milestones must be shares"),
    ],
)
def test_bad_values(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Play(**changes)

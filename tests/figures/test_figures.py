"""Every figure is drawn from what is stored, labelled, and the same each time; the store is honest."""

import io
import json
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures import stored, style
from figures.__main__ import FIGURES


def draw(name):
    module = import_module(f"figures.{name}")
    return module.draw(stored.read(name)) if hasattr(module, "compute") else module.draw()


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_labelled_and_lies_there_as_vector_and_bitmap(name):
    figure = draw(name)
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()
            continue
        assert axes.get_xlabel(), f"{name}: an x axis has no label"
        labels = [other.get_ylabel() for other in figure.axes]
        assert axes.get_ylabel() or any(labels) or axes.get_yticklabels(), f"{name}: a y axis has no label"
    figure.savefig(io.BytesIO(), dpi=20)  # mathematics that cannot be set ends in an error here
    plt.close(figure)
    assert (style.PICTURES / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "<svg" in (style.PICTURES / f"{name}.svg").read_text()


def test_the_same_data_give_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "PICTURES", tmp_path)
    first = [path.read_bytes() for path in style.save(draw("log_against_l1"), "log_against_l1")]
    second = [path.read_bytes() for path in style.save(draw("log_against_l1"), "log_against_l1")]
    assert first == second


@pytest.mark.parametrize(
    "name", [name for name in FIGURES if hasattr(import_module(f"figures.{name}"), "compute")]
)
def test_stored_results_name_their_command_and_versions_and_no_place(name):
    text = (stored.RESULTS / f"{name}.json").read_text()
    record = json.loads(text)
    assert record["command"] == f"python -m figures --recompute {name}"
    assert {"python", "numpy", "numba", "scipy"} <= set(record["versions"])
    assert "/home" not in text
    assert "/work" not in text
    assert "/tmp" not in text


def test_writing_is_atomic_and_reading_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="--recompute nothing"):
        stored.read("nothing")
    stored.write("some", {"a": np.array([1.0, np.nan]), "b": np.float64(np.inf), "c": np.int64(3)}, 1.0)
    assert stored.read("some") == {"a": [1.0, None], "b": None, "c": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]
    with pytest.raises(TypeError, match="cannot store"):
        stored.write("some", {"a": object()}, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]
    assert stored.read("some")["c"] == 3


def test_the_theoretical_transition_of_the_box_is_one_half_without_help_from_l1():
    """A binary mask with more ones than zeros: l1 pulls the wrong way, the box alone needs n = d/2."""
    transition = import_module("figures.phase_transition").transition
    ks, ns = transition(box=True)
    assert np.abs(ns[ks > 0.5] - 0.5).max() <= 1e-3
    assert (np.diff(ns[ks < 0.5]) > 0).all()
    ks, ns = transition(box=False)
    # Donoho and Tanner's weak threshold: a tenth of ones needs about a third of the equations.
    assert abs(np.interp(0.1, ks, ns) - 0.33) <= 0.01

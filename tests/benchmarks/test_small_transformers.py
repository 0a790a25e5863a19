"""The benchmark of small transformers: rows in a file, a table, and examples that run."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import seed_rows, small_transformers
from examples import sparse_language_model as language
from examples import sparse_vision_transformer as vision


def test_rows_are_gone_on_with_and_told_seed_by_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(seed_rows, "RESULTS", tmp_path)
    made = replace(small_transformers.SUBJECTS["vision"], compute=lambda m, p, s: len(m) / 20 + s / 100)
    monkeypatch.setitem(small_transformers.SUBJECTS, "vision", made)
    seed_rows.run(made.path, made.keys(1)[:3], made.measure)
    seed_rows.run(made.path, made.keys(2), made.measure)
    rows = seed_rows.stored(made.path)
    assert len(rows) == 2 * (1 + len(small_transformers.METHODS) * len(small_transformers.DENSITIES))
    text = small_transformers.table("vision")
    assert "| 50% | 2 | 35.50 ± 6.35 | 10.50 ± 6.35 |" in text
    assert "| 50% | +25.00 ± 0.00 | +20.00 ± 0.00 |" in text
    assert "Dense: 25.50 ± 6.35." in text


@pytest.mark.slow
def test_the_examples_that_it_measures_run():
    assert 1 < language.perplexity("random", 0.2, quick=True) < 100
    assert 0.1 < vision.accuracy("random", 0.2, quick=True) <= 1

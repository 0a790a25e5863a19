"""The benchmark of whole units: a tiny case, run twice, and its table."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import channels, seed_rows
from nets.analysis.comparison import mean_interval


def test_a_tiny_case_is_stored_row_by_row_gone_on_with_and_told_in_pairs(tmp_path, monkeypatch, capsys):
    case = channels.Case("digits", "lenet-300-100", 0.1, 100, 1, (0.5,), seeds=2)
    monkeypatch.setattr(channels, "CASES", {"tiny": case})
    path = tmp_path / "rows.jsonl"
    channels.run(["tiny"], seeds=1, path=path)
    first = seed_rows.stored(path)
    assert [row["entry"] for row in first] == list(channels.ENTRIES)
    by_entry = {row["entry"]: row for row in first}
    for row in first:
        assert 0 < row["flops"] <= 0.5
        assert len(row["units"]) == 3
    assert by_entry["concave, shuffled"]["units"] == by_entry["concave"]["units"]
    assert by_entry["concave, trained"]["units"] == by_entry["concave"]["units"]
    cut = path.read_text().splitlines()[:-1]
    path.write_text("\n".join(cut) + "\n")
    capsys.readouterr()
    channels.run(["tiny"], seeds=1, path=path)
    assert len(capsys.readouterr().out.splitlines()) == 1  # only what was missing
    again = seed_rows.stored(path)[-1]
    assert {**again, "seconds": 0} == {**first[-1], "seconds": 0}
    rows = [{**row, "seed": 1, "accuracy": row["accuracy"] - 0.1} for row in seed_rows.stored(path)]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in rows))
    text = channels.table(path)
    mean = 100 * (by_entry["concave"]["accuracy"] - by_entry["random"]["accuracy"])
    assert f"| tiny | 50% | 2 | {100 * by_entry['concave']['accuracy'] - 5:.2f} ± " in text
    assert f"{mean:+.2f} ± 0.00" in text


def test_intervals_are_those_of_student():
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / 3**0.5)
    assert seed_rows.cell([0.5]) == "0.50"
    assert seed_rows.cell([]) == "–"
    assert seed_rows.differences({0: 1.0, 2: 5.0}, {2: 3.0, 3: 1.0}) == [2.0]

"""The benchmark of tickets in fewer bits: a tiny case and its table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import quantised, seed_rows


def test_a_tiny_ticket_is_written_read_again_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(quantised, "CASES", {"tiny": ("digits", "lenet-300-100", 0.2, 1)})
    monkeypatch.setattr(quantised, "DENSITIES", (0.5,))
    path = tmp_path / "rows.jsonl"
    quantised.run(["tiny"], seeds=1, path=path)
    (row,) = seed_rows.stored(path)
    assert row["int8"]["bytes"] < row["fp16"]["bytes"] < row["fp32"]["bytes"] < row["dense bytes"]
    for form in (*quantised.FORMS, "dynamic"):
        assert abs(row[form]["accuracy"] - row["fp32"]["accuracy"]) < 0.05
    text = quantised.table(path)
    assert f"| tiny | 50% | 1 | {row['dense bytes']:,} | {row['fp32']['bytes']:,} |" in text
    assert f"| tiny | 50% | {100 * row['fp32']['accuracy']:.2f} | " in text

"""Hard signed problems: rows are kept one by one and not made again; the table tells gaps from proofs."""

import sys

from benchmarks import certified_optima as benchmark

CELL = {"d": 12, "n": 20, "k": 2, "rho": 0.5, "penalty": "MCP(1)", "ridge": 0.1, "limit": 5, "solver": "ours"}


def test_rows_are_stored_at_once_and_measured_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "STORE", tmp_path / "rows.json")
    monkeypatch.setattr(benchmark, "cells", lambda: [CELL, {**CELL, "limit": 6, "penalty": "log(0.1)"}])
    monkeypatch.setattr(sys, "argv", ["certified_optima", "--only", "MCP"])
    benchmark.main()
    assert [row["penalty"] for row in benchmark.stored()] == ["MCP(1)"]
    monkeypatch.setattr(sys, "argv", ["certified_optima"])
    benchmark.main()
    first, second = benchmark.stored()
    assert 0.0 <= first["gap"] <= 1e-3
    assert first["lower_bound"] <= first["objective"] < first["at_zero"]
    assert first["kept"] >= 2
    assert second["penalty"] == "log(0.1)"
    monkeypatch.setattr(benchmark, "measure", None)  # nothing is left to do
    benchmark.main()
    assert "proved" in capsys.readouterr().out


def test_the_table_goes_between_its_marks(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{benchmark.BEGIN}\nold\n{benchmark.END}\nafter\n")
    row = {**CELL, "gap": 0.2, "seconds": 5.1, "nodes": 7, "kept": 3}
    monkeypatch.setattr(benchmark, "README", readme)
    monkeypatch.setattr(benchmark, "cells", lambda: [CELL])
    monkeypatch.setattr(benchmark, "stored", lambda: [row])
    monkeypatch.setattr(sys, "argv", ["certified_optima", "--readme"])
    benchmark.main()
    text = readme.read_text()
    assert "| d = 12, n = 20, k = 2 | MCP(1) | 0.1 | 3 | ours | 5.1 | 20.0% | 7 |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text

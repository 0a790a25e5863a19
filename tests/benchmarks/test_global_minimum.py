"""The comparison of branch and bound: rows are kept one by one; the table tells gaps from solved problems."""

import json

import numpy as np
import pytest

from benchmarks import global_minimum as benchmark


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "version", lambda name: "1.0")  # SCIP need not be installed
    return tmp_path / "results.json"


def row(solver="ours", d=4, factor=0.45, seconds=0.5, gap=5e-7):
    return {
        "d": d,
        "n": 2 * d,
        "lam": 0.1,
        "factor": factor,
        "solver": solver,
        "seconds": seconds,
        "gap": gap,
    }


def test_rows_are_kept_and_replaced(file):
    for one in (row(d=8), row(), row("SCIP"), row(seconds=2.0)):
        benchmark.store(file, 20.0, one)
    record = json.loads(file.read_text())
    assert [(one["d"], one["solver"], one["seconds"]) for one in record["rows"]] == [
        (4, "ours", 2.0),
        (4, "SCIP", 0.5),
        (8, "ours", 0.5),
    ]
    assert record["command"] == "python benchmarks/global_minimum.py"
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_the_table_says_where_the_gap_was_not_reached():
    text = benchmark.table([row(), row("SCIP", seconds=20.0, gap=3e-2), row("HiGHS", gap=5e-7, seconds=0.25)])
    assert text.splitlines()[-1] == "| 4 | 8 | 0.45 | 0.5 s | 20 s, gap 3e-2 | 0.25 s |"


def test_ours_and_highs_agree_on_a_small_problem():
    problem = benchmark.make_problem(3, 0.45)
    objective, bound = benchmark.ours(problem, 20.0)
    theirs, below = benchmark.highs(problem, 20.0, n_tangents=40, n_pieces=20)
    assert objective - bound <= benchmark.GAP
    assert theirs == pytest.approx(objective, abs=1e-6)
    # The piecewise linear problem lies below ours.
    assert below <= objective + 1e-9
    assert np.isfinite(below)

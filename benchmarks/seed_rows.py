"""Rows of a benchmark by seed: stored one by one, gone on with where they stopped, compared seed by seed."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nets.analysis.comparison import mean_interval

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

Row = dict[str, Any]


def stored(path: Path) -> list[Row]:
    """Return the rows there are; a line that was cut off while it was written is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row, so that it outlives whatever comes after; behind a cut-off line on one of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def run(path: Path, wanted: Iterable[Row], compute: Callable[[Row], Mapping[str, Any]]) -> None:
    """Compute the rows that are missing, in their order, and append each at once.

    Parameters
    ----------
    path : Path
        The file, JSON lines.
    wanted : iterable of dict
        What tells a row from all others; all of the same keys.
    compute : callable
        From one of these to what is measured.
    """
    there = stored(path)
    for key in wanted:
        if any(all(row.get(name) == value for name, value in key.items()) for row in there):
            continue
        began = time.process_time()
        row = {**key, **compute(key)}
        row["seconds"] = round(time.process_time() - began, 1)
        print(row, flush=True)
        append(path, row)


def cell(values: Sequence[float], scale: float = 1.0, sign: bool = False) -> str:
    """Return mean and interval as a cell of a table, times `scale`; a dash without values."""
    if not values:
        return "–"
    mean, half = mean_interval(values)
    text = f"{scale * mean:{'+' if sign else ''}.2f}"
    return text if math.isnan(half) else f"{text} ± {scale * half:.2f}"


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Return first - second over the seeds that both have."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]

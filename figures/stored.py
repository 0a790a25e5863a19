"""Results that figures are drawn from: JSON files that name their seeds, versions and command."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"


def write(name: str, data: dict[str, Any], seconds: float, command: str = "") -> Path:
    """Store data atomically, with what is needed to make them again: for a figure its usual command."""
    record = {
        "command": command or f"python -m figures --recompute {name}",
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("concave-sparsity", "numpy", "numba", "scipy")},
        },
        "made": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds, 1),
        "data": data,
    }
    text = json.dumps(_plain(record), allow_nan=False, separators=(",", ":"))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    partial = path.with_suffix(".partial")
    with open(partial, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def read(name: str) -> dict[str, Any]:
    """Return the stored data of a figure.

    Raises
    ------
    FileNotFoundError
        If they were never computed; the message says how to.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"No stored results for the figure {name!r}: run `python -m figures --recompute {name}`."
        )
    data: dict[str, Any] = json.loads(path.read_text())["data"]
    return data


def _plain(value: Any) -> Any:
    """Return plain JSON values: numbers to seven digits, null for what is not finite (JSON has no NaN)."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if np.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"cannot store {type(value).__name__} as JSON")

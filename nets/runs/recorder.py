"""What a training tells while it goes on: metrics and histograms of the relaxed mask, one line an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from nets.masking.curves import histogram
from nets.runs.folder import MASKS, METRICS
from nets.storage import records
from nets.training.loop import Hook, Loop


class Recorder(Hook):
    """Appends to metrics.jsonl and masks.jsonl after every epoch.

    The files hold at every moment what the trainings of this session have told, in their order: what a
    stored training told is written again from its state when it resumes, so nothing depends on what an
    interrupted session, or somebody else, left in the files.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    before : mapping of str to bytes
        What comes first in each file.

    Attributes
    ----------
    told : dict of str to bytes
        What each file holds.
    histograms : list of mapping
        Lines that the training under way has told of its mask: to be stored with its state.
    """

    watches_only: ClassVar[bool] = True

    def __init__(self, folder: Path, before: Mapping[str, bytes] | None = None) -> None:
        self.folder = folder
        self.told = {name: (before or {}).get(name, b"") for name in (METRICS, MASKS)}
        self.histograms: list[dict[str, Any]] = []
        self._resumed: dict[str, list[dict[str, Any]]] = {}

    def resume(self, name: str, histograms: list[dict[str, Any]]) -> None:
        """Take the lines back that a stored training had told of its mask."""
        self._resumed[name] = histograms

    def start(self, loop: Loop) -> None:
        """Make the files say what was told before, and what this training had told when it was stored."""
        self.histograms = self._resumed.pop(loop.name, [])
        self._add(METRICS, (_line(loop.name, metrics) for metrics in loop.metrics))
        self._add(MASKS, self.histograms)

    def _add(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        self.told[name] += records.text(lines)
        records.replace(self.folder / name, self.told[name])

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Append the epoch's lines."""
        self._append(METRICS, _line(loop.name, metrics))
        mask = relaxed_mask(loop)
        if mask is not None:
            line = {"training": loop.name, "epoch": metrics["epoch"], "counts": histogram(mask)}
            self._append(MASKS, line)
            self.histograms.append(line)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        records.append(self.folder / name, line)
        self.told[name] += records.text([line])


def _line(name: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    finite = {key: value for key, value in metrics.items() if value == value and abs(value) < float("inf")}
    return {"training": name, **finite}


def relaxed_mask(loop: Loop) -> Tensor | None:
    """Return the relaxed mask that a hook of the training has as its `mask`, held or computed, or None."""
    for hook in loop.hooks:
        mask = getattr(hook, "mask", None)
        if callable(mask):
            mask = mask(loop)
        if isinstance(mask, Tensor) and mask.is_floating_point() and mask.shape == loop.flat.weights.shape:
            return mask
    return None

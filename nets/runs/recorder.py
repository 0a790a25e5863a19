"""What a training tells while it goes on: metrics and histograms of the relaxed mask, one line an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from nets.hooks import Hook
from nets.runs.recorder_files import BINS, MASKS, METRICS
from nets.storage import records
from nets.storage.atomic import json_line
from nets.training import Loop


class Recorder(Hook):
    """Appends to metrics.jsonl and masks.jsonl after every epoch.

    A training that resumes from a checkpoint drops what it had told beyond it, so every epoch is told once.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    """

    watches_only: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metrics, self._masks = folder / METRICS, folder / MASKS

    def start(self, loop: Loop) -> None:
        """Drop what was told beyond the epoch where this training starts or resumes."""
        for path in (self._metrics, self._masks):
            records.keep(
                path,
                lambda told: told.get("training") != loop.name or told.get("epoch", 0) <= loop.epochs_ended,
                about=json_line(loop.name),
            )

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Append the epoch's lines."""
        finite = {
            name: value for name, value in metrics.items() if value == value and abs(value) < float("inf")
        }
        records.append(self._metrics, {"training": loop.name, **finite})
        mask = relaxed_mask(loop)
        if mask is not None:
            line = {"training": loop.name, "epoch": metrics["epoch"], "counts": histogram(mask)}
            records.append(self._masks, line)


def relaxed_mask(loop: Loop) -> Tensor | None:
    """Return the relaxed mask that a hook of the training has as its `mask`, held or computed, or None."""
    for hook in loop.hooks:
        mask = getattr(hook, "mask", None)
        if callable(mask):
            mask = mask(loop)
        if isinstance(mask, Tensor) and mask.is_floating_point() and mask.shape == loop.flat.weights.shape:
            return mask
    return None


def histogram(mask: Tensor) -> list[int]:
    """Return the counts of mask entries in 20 equal bins over [0, 1]; entries outside count at the ends."""
    index = (mask.detach() * BINS).clamp_(0, BINS - 1).to(torch.uint8)  # small integers are counted faster
    counts: list[int] = torch.bincount(index, minlength=BINS).tolist()
    return counts

"""What a training tells while it goes on: metrics and histograms of the relaxed mask, one line an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from nets.hooks import Hook
from nets.runs.recorder_files import MASKS, METRICS
from nets.storage import records
from nets.training import Loop

#: Bins of a histogram of mask entries over [0, 1].
BINS = 20


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

    def start(self, loop: Loop) -> None:
        """Drop what was told beyond the epoch where this training starts or resumes."""
        for name in (METRICS, MASKS):
            records.keep(
                self.folder / name,
                lambda told: told.get("training") != loop.name or told.get("epoch", 0) <= loop.epochs_ended,
            )

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Append the epoch's lines."""
        finite = {
            name: value for name, value in metrics.items() if value == value and abs(value) < float("inf")
        }
        records.append(self.folder / METRICS, {"training": loop.name, **finite})
        mask = relaxed_mask(loop)
        if mask is not None:
            line = {"training": loop.name, "epoch": metrics["epoch"], "counts": histogram(mask)}
            records.append(self.folder / MASKS, line)


def relaxed_mask(loop: Loop) -> Tensor | None:
    """Return the relaxed mask that a hook of the training holds as its `mask`, or None."""
    for hook in loop.hooks:
        mask = getattr(hook, "mask", None)
        if isinstance(mask, Tensor) and mask.is_floating_point() and mask.shape == loop.flat.weights.shape:
            return mask
    return None


def histogram(mask: Tensor) -> list[int]:
    """Return the counts of mask entries in 20 equal bins over [0, 1]; entries outside count at the ends."""
    index = (mask.detach() * BINS).to(torch.int64).clamp_(0, BINS - 1)
    counts: list[int] = torch.bincount(index, minlength=BINS).tolist()
    return counts

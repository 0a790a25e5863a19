"""What one line of a comparison stands for, and what it is called in tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nets.configuration import Play, Scalar


@dataclass(frozen=True)
class Series:
    """What one line of a comparison stands for; its fields are those of `Play`, the penalty "" if unused."""

    method: str
    penalty: str
    options: tuple[tuple[str, Scalar], ...]
    granularity: str

    @classmethod
    def of(cls, play: Play) -> Series:
        """Return the series that a play belongs to."""
        from nets.methods import method

        penalty = play.penalty if "penalty" in method(play.method).needs else ""
        return cls(play.method, penalty, play.options, play.granularity)

    @property
    def label(self) -> str:
        """What it is called: method, penalty, granularity and options, without those that are usual."""
        granularity = "" if self.granularity == "weight" else self.granularity
        options = ", ".join(f"{name}={value}" for name, value in self.options)
        return " ".join(part for part in (self.method, self.penalty, granularity, options) if part)


def row_label(row: Mapping[str, Any]) -> str:
    """Return what a row of `Comparison.table` is called: the label of its series and its control."""
    options = tuple(row["options"].items())
    label = Series(row["method"], row["penalty"], options, row["granularity"]).label
    return f"{label} ({row['control']})" if row["control"] else label

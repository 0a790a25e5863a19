"""Wanda: train once, keep the largest |w| times the norm of its input, rewind."""

from __future__ import annotations

from nets.layerwise.method import method

METHOD = method(
    "wanda",
    "after one training, the largest weight times norm of its input, row by row",
    "Sun, Liu, Bair, Kolter, ICLR 2024, arXiv 2306.11695",
    revision=1,
)

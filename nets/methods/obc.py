"""Optimal Brain Compression: train once, remove the weights of a row one by one exactly, rewind."""

from __future__ import annotations

from nets.layerwise.method import method

METHOD = method(
    "obc",
    "after one training, exact removals one by one in each row of each layer",
    "Frantar, Singh, Alistarh, NeurIPS 2022, arXiv 2208.11580",
    revision=1,
)

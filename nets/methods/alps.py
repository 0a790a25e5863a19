"""ALPS: train once, prune each layer by operator splitting, rewind."""

from __future__ import annotations

from nets.layerwise.method import method

METHOD = method(
    "alps",
    "after one training, operator splitting on the support of each layer",
    "Meng, Behdin, Wang, Mazumder, NeurIPS 2024, arXiv 2406.07831",
    revision=1,
)

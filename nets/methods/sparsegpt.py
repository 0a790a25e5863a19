"""SparseGPT: train once, prune each layer column by column with updates of the rest, rewind."""

from __future__ import annotations

from nets.layerwise.method import method

METHOD = method(
    "sparsegpt",
    "after one training, second-order pruning of each layer, column by column with updates",
    "Frantar, Alistarh, ICML 2023, arXiv 2301.00774",
    revision=1,
)

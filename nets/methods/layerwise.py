"""Layer by layer: train once, keep each layer's outputs with fewer weights by the convex solver, rewind."""

from __future__ import annotations

from nets.layerwise.method import method

METHOD = method(
    "layerwise",
    "after one training, sparse least squares with a concave penalty in each row of each layer",
    "docs/layerwise.md; the penalty: Fracastoro et al., IEEE TNNLS 2024, arXiv 2501.11135",
    penalised=True,
    revision=1,
)

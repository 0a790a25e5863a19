"""A density for every layer: of each tensor a share of its own is kept."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from concave_sparsity import density_count, largest
from nets.granularity.groups import Groups
from nets.granularity.single_weights import kth_smallest, shared_out
from nets.masking.layout import Layout


class LayerDensities(Groups):
    """Keep round(density * size) weights of each tensor, one at least.

    On the way to the final mask every tensor comes down from 1 to its own density by the same share.

    Parameters
    ----------
    densities : mapping of str to float
        Density by glob pattern over the names of the masked tensors, each in (0, 1]; the first pattern that
        matches a name counts.
    layout : Layout
        The masked tensors.

    Attributes
    ----------
    density : float
        Share of all masked weights that is kept.

    Raises
    ------
    ValueError
        If a density is out of range, a pattern matches nothing or a tensor is matched by none.
    """

    name = "layer densities"
    fixed = True

    def __init__(self, densities: Mapping[str, float], layout: Layout) -> None:
        for pattern, density in densities.items():
            if not isinstance(density, (int, float)) or not 0 < density <= 1:
                raise ValueError(f"density of {pattern!r} must be in (0, 1], got {density!r}")
            if not any(fnmatchcase(name, pattern) for name in layout.names):
                raise ValueError(
                    f"density of {pattern!r} matches no masked tensor; there are {', '.join(layout.names)}"
                )
        self.asked = dict(densities)
        self.layout = layout
        self.total = layout.total
        self.counts = []
        for name, size in zip(layout.names, layout.sizes):
            found = [density for pattern, density in densities.items() if fnmatchcase(name, pattern)]
            if not found:
                raise ValueError(f'no density for {name}: end the patterns with "*", e.g. {{"*": 0.05}}')
            self.counts.append(max(1, density_count(found[0], size)))
        self.kept = sum(self.counts)
        self.density = self.kept / self.total

    def _at(self, count: int) -> list[int]:
        """Return how many weights each tensor keeps where they are `count` in all."""
        if count <= self.kept:
            return self.counts
        if count >= self.total:
            return list(self.layout.sizes)
        share = (count - self.kept) / (self.total - self.kept)
        densities = [(k + share * (size - k)) / size for k, size in zip(self.counts, self.layout.sizes)]
        return shared_out(densities, self.layout.sizes, count)

    def count(self, density: float) -> int:
        """Return the number of weights kept, which the densities of the layers fix."""
        return self.kept

    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Keep the highest scores of each tensor, ties to the first."""
        parts = zip(self.layout.segments(scores), self._at(count))
        return torch.cat([largest(part, kept) for part, kept in parts])

    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return as many of each tensor by random order, those that the mask has pruned first if asked."""
        return self.select(order + (~mask).to(order.dtype) if others else order, self.kept)

    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return for every weight the largest value of its tensor that is dropped, shape (n,)."""
        parts = []
        for part, kept in zip(self.layout.segments(values), self._at(round(density * self.total))):
            dropped = part.numel() - kept
            at = kth_smallest(part, dropped) if dropped else part.new_full((), -torch.inf)
            parts.append(at.expand(part.numel()))
        return torch.cat(parts)

    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError unless every tensor keeps its number."""
        kept = [int(part.sum()) for part in self.layout.segments(mask)]
        if kept != self.counts:
            raise AssertionError(f"the tensors keep {kept} weights instead of {self.counts}")

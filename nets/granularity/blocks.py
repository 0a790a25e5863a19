"""Blocks as mask entries: any partition of a tensor's weights, from a function of its name and shape."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from concave_sparsity import density_count, largest
from nets.granularity.groups import Groups
from nets.granularity.single_weights import kth_smallest
from nets.masking.layout import Layout

#: (name, shape) -> the number of the block of every weight of a tensor, integers of that shape.
Partition = Callable[[str, tuple[int, ...]], Tensor]


def kernel(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the blocks of one kernel each: all positions between two channels (Mao et al., CVPRW 2017)."""
    return torch.arange(shape[0] * shape[1]).view(*shape[:2], *(1 for _ in shape[2:])).expand(shape)


def square(name: str, shape: tuple[int, ...], side: int = 4) -> Tensor:
    """Return the blocks of 4 x 4 neighbours in the matrix of outputs by all else, smaller at its ends."""
    columns = torch.Size(shape[1:]).numel()
    across, down = torch.arange(columns) // side, torch.arange(shape[0]) // side
    return (down[:, None] * (columns // side + 1) + across).view(shape)


class Blocks(Groups):
    """Keep whole blocks of weights, each within one tensor, and of every tensor the best at least.

    Of the ranking of all blocks, the longest head is kept whose weights are no more than the density allows.

    Parameters
    ----------
    name : str
        Name of the granularity.
    partition : callable
        (name, shape) -> number of the block of every weight, integers of that shape; ties go to the lower.
    layout : Layout
        The masked tensors.

    Raises
    ------
    ValueError
        If the numbers have another shape, or are no integers.
    """

    def __init__(self, name: str, partition: Partition, layout: Layout) -> None:
        self.name = name
        self.total = layout.total
        places: list[Tensor] = []
        self._blocks: list[int] = []
        for tensor, shape in zip(layout.names, layout.shapes):
            given = partition(tensor, shape)
            if given.shape != shape or given.is_floating_point():
                raise ValueError(
                    f"granularity {name} must give {tensor} integers of shape {shape}, one a weight; it gave "
                    f"{given.dtype} of shape {tuple(given.shape)}"
                )
            own = given.reshape(-1).unique(return_inverse=True)[1]  # type: ignore[no-untyped-call]
            places.append(own + sum(self._blocks))
            self._blocks.append(int(own.max()) + 1)
        self._index = torch.cat(places)
        self._size = self._index.bincount()

    @property
    def entries(self) -> int:
        """Number of mask entries: the blocks."""
        return len(self._size)

    def index(self, like: Tensor) -> Tensor:
        """Return the block of every weight, shape (n,)."""
        if self._index.device != like.device:
            self._index, self._size = self._index.to(like.device), self._size.to(like.device)
        return self._index

    def spread(self, own: Tensor, others: float = 1.0) -> Tensor:
        """Return the value of the block of every weight, shape (n,)."""
        return own[self.index(own)]

    def gather(self, values: Tensor) -> Tensor:
        """Return the sums over the weights of each block, shape (entries,)."""
        return values.new_zeros(self.entries).index_add_(0, self.index(values), values)

    def share(self, values: Tensor) -> Tensor:
        """Return at every weight the mean over its block: a block pays for each of its weights."""
        return self.spread(self.gather(values) / self._size)

    def own(self, values: Tensor) -> Tensor:
        """Return one value a block, shape (entries,), from values that are equal within each."""
        return values.new_zeros(self.entries).scatter_(0, self.index(values), values)

    def best(self, own: Tensor) -> Tensor:
        """Return the first block of highest value in every tensor, boolean, shape (entries,)."""
        tops = [part == part.max() for part in torch.split(own, self._blocks)]
        return torch.cat([top & (top.cumsum(0) == 1) for top in tops])

    def count(self, density: float) -> int:
        """Return the number of weights kept at most, round(density * n)."""
        return density_count(density, self.total)

    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Keep the blocks of highest score, as many as have no more than `count` weights."""
        if distribution != "global":
            raise ValueError(
                f"blocks are shared out globally, distribution {distribution!r} is for single weights"
            )
        own = self.own(scores) if pooling == "own" else self.gather(scores)
        own = own / self._size if pooling == "mean" else own
        there, best = ~torch.isneginf(own), self.best(own)
        order = own.masked_fill(best & there, torch.inf).sort(descending=True, stable=True).indices
        kept = (self._size[order].cumsum(0) <= count) & there[order]
        if not kept[: int((best & there).sum())].all():
            least = int(self._size[best].sum())
            raise ValueError(
                f"{count} weights are too few for one block in every tensor, which have {least}; ask for a "
                f"density of at least {least / self.total:.4g}"
            )
        return self.spread(torch.zeros_like(kept).scatter_(0, order, kept))

    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return as many blocks of each size of each tensor by random order, pruned ones first if asked."""
        alive, order = self.own(mask), self.own(order)
        order = order + (~alive).to(order.dtype) if others else order
        drawn = torch.zeros_like(alive)
        for block in torch.split(torch.arange(self.entries, device=mask.device), self._blocks):
            for size in self._size[block].unique():  # type: ignore[no-untyped-call]
                alike = block[self._size[block] == size]
                drawn[alike] = largest(order[alike], int(alive[alike].sum()))
        return self.spread(drawn)

    def report(self, mask: Tensor) -> dict[str, float]:
        """Return how many blocks there are, and are kept."""
        return {"blocks": self.entries, "blocks_kept": int(self.own(mask).sum())}

    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError unless whole blocks are kept, with no more weights than asked for."""
        if not torch.equal(self.spread(self.own(mask)), mask) or int(mask.sum()) > count:
            raise AssertionError(
                f"the mask keeps {int(mask.sum())} weights, {count} in whole blocks are asked"
            )

    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return the value up to which blocks are dropped, shape (); None if none are."""
        dropped = min(self.total, round((1.0 - density) * self.total))
        return kth_smallest(values, dropped, spare) if dropped else None

    def last(self, values: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the places of the best block of every tensor, and whether it falls, as all others do."""
        places = self.spread(self.best(self.own(values))).nonzero()[:, 0]
        return places, values[places] <= threshold

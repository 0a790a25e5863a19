"""Single weights as mask entries, and how they are shared out over layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np
import torch
from torch import Tensor

from concave_sparsity import density_count, largest
from nets.granularity.groups import Groups

DISTRIBUTIONS = ("global", "uniform", "erk")

#: Entries of a layer that are looked at first.
FIRST = 4096

Shapes = Sequence[tuple[int, ...]]


class SingleWeights(Groups):
    """Every weight has a mask entry of its own.

    Parameters
    ----------
    names : sequence of str
        Names of the masked tensors.
    shapes : sequence of tuple of int
        Their shapes.
    """

    name = "weight"

    def __init__(self, names: Sequence[str], shapes: Shapes) -> None:
        self.names = tuple(names)
        self.shapes = tuple(shapes)
        self.sizes = [prod(shape) for shape in shapes]
        self.total = sum(self.sizes)

    def _segments(self, flat: Tensor) -> tuple[Tensor, ...]:
        return torch.split(flat, self.sizes)

    def count(self, density: float) -> int:
        """Return round(density * n)."""
        return density_count(density, self.total)

    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Keep exactly `count` weights: the largest of all (`spared`), or of every layer its share."""
        if distribution == "global":
            return self.spared(largest(scores, count), scores)
        counts = layer_counts(self.shapes, count, distribution)
        return torch.cat([largest(part, kept) for part, kept in zip(self._segments(scores), counts)])

    def spared(self, mask: Tensor, scores: Tensor) -> Tensor:
        """Return the mask with one weight at least in every layer, while another has more than one to give.

        The best weight of a layer that is empty replaces the worst of those kept in layers of several. A
        layer whose scores are all minus infinity has been pruned before and stays empty.

        Parameters
        ----------
        mask : Tensor
            Boolean, shape (n,).
        scores : Tensor
            Shape (n,), by which it was chosen.

        Warns
        -----
        UserWarning
            If layers stay empty; they are named.
        """
        kept = [int(part.any()) for part in self._segments(mask)]
        if all(kept):
            return mask
        kept = [int(part.sum()) for part in self._segments(mask)]
        mask = mask.clone()
        parts = self._segments(scores)
        best = [(float(part.max()), -i) for i, part in enumerate(parts) if not kept[i]]
        empty = [-i for _, i in sorted(best, reverse=True)]
        places = self._segments(torch.arange(len(mask), device=mask.device))
        ends = list(accumulate(self.sizes))
        for i in list(empty):
            givers = [j for j, k in enumerate(kept) if k > 1]
            if torch.isneginf(parts[i]).all() or not givers:
                continue
            candidates = torch.cat([places[j] for j in givers])
            candidates = candidates[mask[candidates]]
            values = scores[candidates]
            worst = candidates[values == values.min()].max()  # of ties the last goes
            mask[worst] = False
            mask[places[i][parts[i].argmax()]] = True
            giver = next(j for j, end in enumerate(ends) if int(worst) < end)
            kept[giver] -= 1
            kept[i] = 1
        left = [self.names[i] for i in sorted(empty) if not kept[i]]
        if left and 0 < sum(kept) < len(kept):
            least = len(kept) / len(mask)
            warnings.warn(
                f"{sum(kept)} weights are too few for {len(kept)} layers: {', '.join(left)} keep none, so "
                f"the network is cut in two; ask for a density of at least {least:.2g}",
                stacklevel=4,
            )
        return mask

    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return as many of each tensor by random order, those that the mask has pruned first if asked."""
        order = order + (~mask).to(order.dtype) if others else order
        parts = zip(self._segments(order), self._segments(mask))
        return torch.cat([largest(part, int(kept.sum())) for part, kept in parts])

    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError unless the mask keeps exactly `count`."""
        if (kept := int(mask.sum())) != count:
            raise AssertionError(f"the mask keeps {kept} weights, {count} were asked for")

    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return the (1 - density) quantile of the values, shape (); None if nothing is dropped."""
        dropped = min(self.total, round((1.0 - density) * self.total))
        return kth_smallest(values, dropped, spare) if dropped else None

    def last(self, values: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the place of the largest value of every layer, and whether it falls, as all others do."""
        parts = self._segments(values)
        if values.device.type == "cpu":
            at = float(threshold)  # most layers tell by their first entries that they keep something
            quick = [part.numpy() for part in self._segments(_known_to_numpy(values))]  # a tenth of the time
            if all(part[:FIRST].max() > at or part.max() > at for part in quick):
                return None
        tops = [part.max() for part in parts]
        starts = accumulate(self.sizes, initial=0)
        places = torch.stack([part.argmax() + first for part, first in zip(parts, starts)])
        return places, torch.stack(tops) <= threshold


def layer_counts(shapes: Shapes, count: int, distribution: str) -> list[int]:
    """Return how many weights each layer keeps; they sum to `count` exactly.

    No layer is left empty where there are as many weights as layers: a small layer, say a 1 x 1 shortcut,
    whose share rounds to nothing takes one weight from the layer that has most.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of the layers.
    count : int
        Weights kept in all.
    distribution : str
        "uniform" or "erk"; see `nets.masking.selection.select`.
    """
    sizes = [prod(shape) for shape in shapes]
    if distribution == "uniform":
        shares = [1.0] * len(sizes)
    elif distribution == "erk":
        shares = [sum(shape) / size for shape, size in zip(shapes, sizes)]
    else:
        raise ValueError(f"unknown distribution {distribution!r}; choose one of {', '.join(DISTRIBUTIONS)}")
    counts = shared_out(_capped(shares, sizes, count), sizes, count)
    if count >= len(counts):
        for empty in [i for i, kept in enumerate(counts) if kept == 0]:
            counts[counts.index(max(counts))] -= 1
            counts[empty] = 1
    return counts


def shared_out(densities: Sequence[float], sizes: Sequence[int], count: int) -> list[int]:
    """Round to whole numbers that sum to `count`, the largest remainders up; ties go to the first layer."""
    wanted = [d * s for d, s in zip(densities, sizes)]
    counts = [min(int(w), s) for w, s in zip(wanted, sizes)]
    order = sorted(range(len(sizes)), key=lambda i: (counts[i] - wanted[i], i))
    missing = count - sum(counts)
    while missing > 0:
        for i in order:
            if missing and counts[i] < sizes[i]:
                counts[i] += 1
                missing -= 1
    return counts


def _capped(shares: Sequence[float], sizes: Sequence[int], count: int) -> list[float]:
    """Return the densities proportional to `shares` and at most 1 that keep `count` weights in all."""
    full: set[int] = set()
    while True:
        rest = sum(shares[i] * sizes[i] for i in range(len(sizes)) if i not in full)
        left = count - sum(sizes[i] for i in full)
        factor = left / rest if rest else 0.0
        over = {i for i in range(len(sizes)) if i not in full and shares[i] * factor > 1}
        if not over:
            return [1.0 if i in full else shares[i] * factor for i in range(len(sizes))]
        full |= over


def _known_to_numpy(values: Tensor) -> Tensor:
    return values.float() if values.dtype == torch.bfloat16 else values


def kth_smallest(values: Tensor, k: int, spare: Tensor | None = None) -> Tensor:
    """Return the k-th smallest value of a flat tensor, k from 1, shape ().

    Parameters
    ----------
    values : Tensor
        Shape (n,), floating point.
    k : int
        1 .. n.
    spare : Tensor, optional
        Memory like that of the values, to work in.
    """
    if values.device.type == "cpu":
        # numpy partitions ten times faster than torch
        wide = _known_to_numpy(values)
        if spare is None or wide is not values:
            ordered = np.partition(wide.numpy(), k - 1)
        else:
            ordered = spare.copy_(values).numpy()
            ordered.partition(k - 1)
        kth = torch.from_numpy(ordered[k - 1 : k].copy())
        return kth.reshape(()).to(values.dtype)
    # On CUDA kthvalue gives a flat tensor to one block of the GPU; a sort uses all of them.
    return values.sort().values[k - 1]

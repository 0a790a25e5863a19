"""Which entries are kept: the largest overall, or a share of every layer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from concave_sparsity import largest
from nets.masking.layout import Layout, shared_out

DISTRIBUTIONS = ("global", "uniform", "erk")


#: Entries that are ranked at a time.
PART = 1 << 18


def select(
    scores: Tensor, layout: Layout, count: int, distribution: str = "global", pooling: str = "sum"
) -> Tensor:
    """Return the mask that keeps exactly `count` weights of highest score.

    Where the layout ties entries to one another, its groups choose (`nets.granularity`).

    Parameters
    ----------
    scores : Tensor
        Shape (n,), no NaN; ties go to the lowest index.
    layout : Layout
        The layers.
    count : int
        Number of weights kept.
    distribution : str
        "global": one ranking for all layers, none of which is emptied (`spared`); "uniform": the same density
        in every layer; "erk": density
        proportional to (sum of the dimensions) / (product of the dimensions) (Evci et al. 2020), full layers
        capped and the rest shared out again.
    pooling : str
        How the score of an entry that masks several weights comes from theirs: "sum" (for what adds up, as
        sensitivities do), "mean" (for sizes), or "own": they are equal, the score of the entry already.

    Returns
    -------
    Tensor
        Boolean, shape (n,).
    """
    if torch.isnan(scores).any():
        raise ValueError(f"{int(torch.isnan(scores).sum())} scores are NaN: the training has diverged")
    if layout.groups is not None:
        return layout.groups.select(scores, count, distribution, pooling)
    if distribution == "global":
        return spared(largest(scores, count), scores, layout)
    counts = layer_counts(layout, count, distribution)
    return torch.cat([largest(s, k) for s, k in zip(layout.segments(scores), counts)])


def spared(mask: Tensor, scores: Tensor, layout: Layout) -> Tensor:
    """Return the mask with one weight at least in every layer, while another has more than one to give.

    The best weight of a layer that is empty replaces the worst of those kept in layers of several. A layer
    whose scores are all minus infinity has been pruned before and stays empty.

    Parameters
    ----------
    mask : Tensor
        Boolean, shape (n,).
    scores : Tensor
        Shape (n,), by which it was chosen.
    layout : Layout
        The layers.

    Warns
    -----
    UserWarning
        If layers stay empty; they are named.
    """
    kept = [int(part.any()) for part in layout.segments(mask)]
    if all(kept):
        return mask
    kept = [int(part.sum()) for part in layout.segments(mask)]
    mask = mask.clone()
    best = [(float(part.max()), -i) for i, part in enumerate(layout.segments(scores)) if not kept[i]]
    empty = [-i for _, i in sorted(best, reverse=True)]
    places = layout.segments(torch.arange(len(mask), device=mask.device))
    for i in list(empty):
        part = layout.segments(scores)[i]
        givers = [j for j, k in enumerate(kept) if k > 1]
        if torch.isneginf(part).all() or not givers:
            continue
        candidates = torch.cat([places[j] for j in givers])
        candidates = candidates[mask[candidates]]
        values = scores[candidates]
        worst = candidates[values == values.min()].max()  # of ties the last goes
        mask[worst] = False
        mask[places[i][part.argmax()]] = True
        giver = next(j for j, offset in enumerate(layout.offsets[1:]) if int(worst) < offset)
        kept[giver] -= 1
        kept[i] = 1
    left = [layout.names[i] for i in sorted(empty) if not kept[i]]
    if left and 0 < sum(kept) < len(kept):
        least = len(kept) / len(mask)
        warnings.warn(
            f"{sum(kept)} weights are too few for {len(kept)} layers: {', '.join(left)} keep none, so the "
            f"network is cut in two; ask for a density of at least {least:.2g}",
            stacklevel=3,
        )
    return mask


def select_nearly(
    mask: Tensor, tie: Tensor, layout: Layout, count: int, alive: Tensor | None = None
) -> Tensor:
    """Return the binary mask of `count` entries that is nearest to a relaxed one.

    Parameters
    ----------
    mask : Tensor
        Entries in [0, 1], shape (n,).
    tie : Tensor
        Decides between entries that are equal up to 1e-6, shape (n,); then the index does.
    layout : Layout
        The layers.
    count : int
        Number of weights kept.
    alive : Tensor, optional
        Boolean, shape (n,): entries outside have been pruned before.
    """
    n = left = len(tie)
    order = tie.argsort(descending=True, stable=True)
    scores = torch.empty(n, dtype=torch.float64, device=tie.device)
    for part in torch.split(order, PART):  # in parts and in place: here a search takes most memory
        scores[part] = torch.arange(left, left - len(part), -1, dtype=torch.float64, device=tie.device)
        left -= len(part)
    del order
    scores.mul_(1e-6 / n).add_(mask)
    if alive is not None:
        scores.masked_fill_(~alive.to(scores.device), -torch.inf)
    return select(scores, layout, count, pooling="own")


def select_above(mask: Tensor, threshold: float, lam: float) -> Tensor:
    """Return which entries of a relaxed mask lie above a threshold, for a lam that was given.

    Raises
    ------
    ValueError
        If none does.
    """
    kept: Tensor = mask > threshold
    if not kept.any():
        raise ValueError(f"lam={lam:g} leaves no mask entry above {threshold:g}: give a smaller one")
    return kept


def layer_counts(layout: Layout, count: int, distribution: str) -> list[int]:
    """Return how many weights each layer keeps; they sum to `count` exactly.

    No layer is left empty where there are as many weights as layers: a small layer, say a 1 x 1 shortcut,
    whose share rounds to nothing takes one weight from the layer that has most.
    """
    if distribution == "uniform":
        shares = [1.0] * len(layout.sizes)
    elif distribution == "erk":
        shares = [sum(shape) / size for shape, size in zip(layout.shapes, layout.sizes)]
    else:
        raise ValueError(f"unknown distribution {distribution!r}; choose one of {', '.join(DISTRIBUTIONS)}")
    counts = shared_out(_capped(shares, layout.sizes, count), layout.sizes, count)
    if count >= len(counts):
        for empty in [i for i, kept in enumerate(counts) if kept == 0]:
            counts[counts.index(max(counts))] -= 1
            counts[empty] = 1
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
        wide = values.float() if values.dtype == torch.bfloat16 else values  # unknown to numpy
        if spare is None or wide is not values:
            ordered = np.partition(wide.numpy(), k - 1)
        else:
            ordered = spare.copy_(values).numpy()
            ordered.partition(k - 1)
        kth = torch.from_numpy(ordered[k - 1 : k].copy())
        return kth.reshape(()).to(values.dtype)
    # On CUDA kthvalue gives a flat tensor to one block of the GPU; a sort uses all of them.
    return values.sort().values[k - 1]

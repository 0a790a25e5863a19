"""Which entries are kept: the largest overall, or a share of every layer."""

from __future__ import annotations

import torch
from torch import Tensor

from nets.masking.layout import Layout

#: Entries that are ranked at a time.
PART = 1 << 18


def select(
    scores: Tensor, layout: Layout, count: int, distribution: str = "global", pooling: str = "sum"
) -> Tensor:
    """Return the mask that keeps `count` weights of highest score; the layout's granularity chooses.

    Parameters
    ----------
    scores : Tensor
        Shape (n,), no NaN; ties go to the lowest index.
    layout : Layout
        The layers.
    count : int
        Number of weights kept.
    distribution : str
        "global": one ranking for all layers, none of which is emptied; "uniform": the same density in every
        layer; "erk": density proportional to (sum of the dimensions) / (product of the dimensions) (Evci et
        al. 2020), full layers capped and the rest shared out again. The last two are for single weights.
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
    return layout.groups.select(scores, count, distribution, pooling)


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

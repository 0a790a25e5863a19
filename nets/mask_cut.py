"""From a relaxed mask to a binary one, and what the cut costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from nets.configuration import Scalar
from nets.evaluation import evaluate
from nets.search import Search
from nets.training import Loop


class MaskHook(Protocol):
    """A hook that trains a relaxed mask."""

    @property
    def lam(self) -> float:
        """Weight of the penalty as it is at present."""

    def final(self, loop: Loop) -> Tensor:
        """Return the mask that the trained network is evaluated under, shape (n,)."""

    def show(self, loop: Loop, mask: Tensor) -> None:
        """Show the network the weights under this mask."""


def cut(
    search: Search, loop: Loop, hook: MaskHook, choose: Callable[[Tensor], Tensor]
) -> tuple[Tensor, dict[str, Scalar]]:
    """Return the binary mask, and the task's metric of the relaxed and of the cut network.

    Parameters
    ----------
    search : Search
        The search; its network sees its own weights again afterwards.
    loop : Loop
        The training that has just finished.
    hook : MaskHook
        It trained the mask.
    choose : callable
        Takes the relaxed mask and returns the boolean one, shape (n,) each.

    Returns
    -------
    mask : Tensor
        Boolean, shape (n,).
    report : dict
        relaxed_accuracy, cut_accuracy (both of the validation part, named by the task's metric), cut_loss (by
        how much the cut is worse), mean_mask, lam.
    """
    flat, groups = search.flat, search.layout.groups
    final = hook.final(loop)
    hook.show(loop, final)
    relaxed = evaluate(flat.model, search.data)
    mask = choose(final)
    hook.show(loop, mask)
    after = evaluate(flat.model, search.data)
    metric = relaxed.metric
    report: dict[str, Scalar] = {
        metric.column("relaxed"): relaxed.score,
        metric.column("cut"): after.score,
        "cut_loss": metric.gain(relaxed.score, after.score),
        "lam": hook.lam,
        "mean_mask": float((final if groups is None else groups.show(final)).mean()),
    }
    flat.unite()
    return mask, report

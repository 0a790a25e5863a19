"""From a relaxed mask to a binary one, and what the cut costs."""

from __future__ import annotations

from torch import Tensor

from nets.configuration import Scalar
from nets.masking.course import MaskHook
from nets.search import Search
from nets.training import Loop


def cut(search: Search, loop: Loop, hook: MaskHook, count: int) -> tuple[Tensor, dict[str, Scalar]]:
    """Return the binary mask, and the task's metric of the relaxed and of the cut network.

    Parameters
    ----------
    search : Search
        The search; its network sees its own weights again afterwards.
    loop : Loop
        The training that has just finished.
    hook : MaskHook
        It trained the mask.
    count : int
        Weights that are kept.

    Returns
    -------
    mask : Tensor
        Boolean, shape (n,).
    report : dict
        relaxed_accuracy, cut_accuracy (both of the validation part, named by the task's metric), cut_loss (by
        how much the cut is worse), mean_mask, lam.
    """
    flat = search.flat
    final = hook.final(loop)
    hook.show(loop, final)
    relaxed = search.evaluated()
    mask = hook.cut(loop, count)
    hook.show(loop, mask)
    after = search.evaluated()
    report: dict[str, Scalar] = {}
    if relaxed is not None and after is not None:
        metric = relaxed.metric
        report = {
            metric.column("relaxed"): relaxed.score,
            metric.column("cut"): after.score,
            "cut_loss": metric.gain(relaxed.score, after.score),
        }
    report |= {
        "lam": hook.lam,
        "mean_mask": float(search.whole(final).mean()),
    }
    flat.unite()
    return mask, report

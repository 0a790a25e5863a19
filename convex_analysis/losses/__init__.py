"""Losses of a linear predictor, one a file; `loss_named` finds them by name."""

from __future__ import annotations

from convex_analysis.losses.huber import Huber
from convex_analysis.losses.linear import Linear
from convex_analysis.losses.log_link import Gamma, Poisson
from convex_analysis.losses.logistic import Logistic
from convex_analysis.losses.loss import Loss
from convex_analysis.losses.multinomial import Multinomial
from convex_analysis.losses.squared_hinge import SquaredHinge

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (Linear, Logistic, Huber, Poisson, Gamma, SquaredHinge)
}


def loss_named(loss: str | Loss) -> Loss:
    """Return the loss itself, or the default one of a name in `LOSSES`."""
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"Unknown loss {loss!r}: choose one of {', '.join(sorted(LOSSES))}, or pass a Loss.")
    return LOSSES[loss]()


__all__ = [
    "LOSSES",
    "Gamma",
    "Huber",
    "Linear",
    "Logistic",
    "Loss",
    "Multinomial",
    "Poisson",
    "SquaredHinge",
    "loss_named",
]

"""Tickets of a small convolutional network on CIFAR-10: accuracy against density."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures import method_comparison

METHODS = ("dense", "concave", "l1", "imp", "synflow", "snip", "random")
DENSITIES = (0.2, 0.05)
SEEDS = (0,)


def compute() -> dict[str, Any]:
    """Play the methods at two densities: about an hour of one core a seed, most of it for imp."""
    from nets import Play

    play = Play(data="cifar10", model="lenet-5", epochs=5, lr=0.05, weight_decay=5e-4)
    return method_comparison.compute("cifar10_lenet_5", play, METHODS, DENSITIES, SEEDS)


def draw(data: dict[str, Any]) -> Figure:
    """Draw masks and magnitude in one panel, methods that prune before training in the other."""
    panels = {
        "masks and magnitude": ("l1", "imp"),
        "before training": ("random", "snip", "synflow"),
    }
    return method_comparison.draw(data, panels, "LeNet-5 on CIFAR-10", (1, 2), 40.0)

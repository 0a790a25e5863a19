"""All methods on MNIST, LeNet-300-100: accuracy of the retrained ticket against its density."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from figures import method_comparison

DENSITIES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SEEDS = (0, 1, 2)

#: Panels: methods that prune before training, while training, by trained scores over frozen weights or with
#: the weights, and after training.
PANELS: dict[str, tuple[str, ...]] = {
    "before training": ("random", "snip", "grasp", "synflow"),
    "after or during training": ("magnitude", "imp", "gmp", "set", "rigl", "soft-threshold"),
    "masks over frozen weights": ("edge-popup", "gem-miner", "concrete-ticket"),
    "masks trained with the weights": ("l1", "l0", "continuous-sparsification", "pilot"),
}


def compute() -> dict[str, Any]:
    """Play every method at every density: about an hour on two cores for three seeds."""
    from nets import Play
    from nets.methods import method_names

    play = Play(data="mnist", model="lenet-300-100")
    return method_comparison.compute("mnist_all_methods", play, method_names(), DENSITIES, SEEDS)


def draw(data: dict[str, Any]) -> Figure:
    """Draw a panel for each kind of method."""
    return method_comparison.draw(data, PANELS, "LeNet-300-100 on MNIST", (2, 2), 85.0)

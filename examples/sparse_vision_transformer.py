"""A vision transformer on handwritten digits that keeps a fifth of its weights, or half of its operations.

Run ``python examples/sparse_vision_transformer.py``; ``--quick`` takes seconds. The images are the 8 x 8
digits of scikit-learn. Whole heads and neurons go for the budget of operations, and the network shrinks.
"""

from __future__ import annotations

import sys
from functools import partial

import torch

import nets
from nets.configuration import Training
from nets.models import build
from nets.models.vision_transformer import vit_lite


def setting(quick: bool, seed: int) -> tuple[torch.nn.Module, object, dict[str, object]]:
    """Return the network, the images, and how both searches and trainings train."""
    training = Training(epochs=2 if quick else 20, batch_size=32, optimiser="adamw", lr=2e-3)
    data = nets.data.load("digits")
    model = build(partial(vit_lite, depth=2), data, seed=seed, width=0.25)
    return model, data, {"training": training, "seed": seed}


def accuracy(method: str, density: float, seed: int = 0, quick: bool = False) -> float:
    """Return the test accuracy of a ticket of single weights; of the dense network at density 1."""
    model, data, shared = setting(quick, seed)
    ticket = None if density == 1 else nets.find_ticket(model, data, method, density=density, **shared)
    return nets.retrain(ticket, model, data, **shared).test_accuracy


def half_of_the_operations(quick: bool = False, seed: int = 0) -> float:
    """Return the test accuracy where whole heads and neurons go, and tell how small the network is then."""
    model, data, shared = setting(quick, seed)
    heads = nets.find_ticket(model, data, budget="flops:0.5", **shared)
    trained = nets.retrain(heads, model, data, **shared)
    small = nets.shrink(trained.model, heads)
    before, after = (sum(p.numel() for p in m.parameters()) for m in (model, small))
    print(f"{before:,} parameters, {after:,} in the smaller network")
    return trained.test_accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv
    print(f"dense: {accuracy('dense', 1.0, quick=quick):.1%}")
    print(f"a fifth of the weights: {accuracy('concave', 0.2, quick=quick):.1%}")
    print(f"half of the operations: {half_of_the_operations(quick):.1%}")

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


def accuracies(quick: bool = False, seed: int = 0) -> dict[str, float]:
    """Return the test accuracies of the dense network, of single weights, and of whole heads and neurons."""
    training = Training(epochs=1 if quick else 20, batch_size=32, optimiser="adamw", lr=2e-3)
    data, shared = nets.data.load("digits"), {"training": training, "seed": seed}
    model = build(partial(vit_lite, depth=1 if quick else 2), data, seed=seed, width=0.25)
    found = {"dense": nets.retrain(None, model, data, **shared).test_accuracy}
    ticket = nets.find_ticket(model, data, density=0.2, **shared)
    found["a fifth of the weights"] = nets.retrain(ticket, model, data, **shared).test_accuracy
    heads = nets.find_ticket(model, data, budget="flops:0.5", **shared)
    trained = nets.retrain(heads, model, data, **shared)
    found["half of the operations"] = trained.test_accuracy
    small = nets.shrink(trained.model, heads)
    count = {name: sum(p.numel() for p in m.parameters()) for name, m in (("whole", model), ("small", small))}
    print(f"{count['whole']:,} parameters, {count['small']:,} in the smaller network")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, accuracy in accuracies("--quick" in sys.argv).items():
        print(f"{name}: {accuracy:.1%}")

"""Find a ticket within a training loop of accelerate, then retrain it there with its pruned weights at zero.

Run ``accelerate launch examples/prune_with_accelerate.py`` (the extra ``trainer``); seconds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import nets
from nets.data import Dataset, load

EPOCHS = 20


def train(network: nn.Module, data: Dataset, mask: Callable[..., Any]) -> Any:
    """Train as accelerate would have it, with what `mask` makes of network, optimiser and number of steps."""
    accelerator = Accelerator()
    points = TensorDataset(data.normalise(data.x_train), data.y_train)
    model, optimiser, loader = accelerator.prepare(
        network,
        torch.optim.AdamW(network.parameters(), 3e-3),
        DataLoader(points, batch_size=64, shuffle=True),
    )
    acting = mask(model, optimiser, EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for x, y in loader:
            accelerator.backward(cross_entropy(model(x), y))
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
    return acting


if __name__ == "__main__":
    torch.manual_seed(0)
    data = load("digits")
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 10))
    initial = copy.deepcopy(network.state_dict())
    masking = train(network, data, lambda m, o, steps: nets.Masking(m, o, density=0.1, steps=steps))
    ticket = masking.ticket(weights=initial)
    print(ticket)
    train(ticket.apply(network), data, lambda m, o, steps: ticket.hold(m, o))
    weights = [p for name, p in network.named_parameters() if name in ticket.masks]
    kept = sum(int((w != 0).sum()) for w in weights) / sum(w.numel() for w in weights)
    score = nets.evaluate(network.cpu(), data, "test").accuracy
    print(f"after retraining {kept:.1%} of the weights are not zero; test accuracy {score:.1%}")

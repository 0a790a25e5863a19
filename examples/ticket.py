"""Find a ticket for a network of your own, train it, and look at it.

Run ``python examples/ticket.py``, which draws ticket.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch

import nets
from nets.data import load


def main(epochs: int = 10) -> None:
    """Print ticket and accuracies, draw layers and the course of the mask."""
    data = load("digits")
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 200), torch.nn.ReLU(), torch.nn.Linear(200, 10)
    )
    ticket = nets.find_ticket(model, data, density=0.1, epochs=epochs)
    print(ticket)
    sparse = nets.retrain(ticket, model, data, epochs=epochs)
    dense = nets.retrain(None, model, data, epochs=epochs)
    print(f"{sparse.test_accuracy:.1%} with a tenth of the weights, {dense.test_accuracy:.1%} with all")
    axes = ticket.plot()
    axes[0].figure.savefig("ticket.png", dpi=160)
    plt.close(axes[0].figure)


if __name__ == "__main__":
    main()

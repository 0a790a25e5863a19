"""Find a ticket for a network of your own, train it, and look at it.

Run ``python examples/ticket.py [--picture FILE]``; seconds.
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import torch

import nets
from nets.data import load


def main() -> None:
    """Print ticket and accuracies, draw layers and the course of the mask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="ticket.png")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    data = load("digits")
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 200), torch.nn.ReLU(), torch.nn.Linear(200, 10)
    )
    ticket = nets.find_ticket(model, data, density=0.1, epochs=options.epochs)
    print(ticket)
    sparse = nets.retrain(ticket, model, data, epochs=options.epochs)
    dense = nets.retrain(None, model, data, epochs=options.epochs)
    print(f"{sparse.test_accuracy:.1%} with a tenth of the weights, {dense.test_accuracy:.1%} with all")
    axes = ticket.plot()
    axes[0].figure.savefig(options.picture, dpi=160)
    plt.close(axes[0].figure)


if __name__ == "__main__":
    main()

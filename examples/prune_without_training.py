"""Prune LeNet-300-100 on digits without training: solvers of a layer side by side, and a certificate.

Run ``python examples/prune_without_training.py``; it takes about a minute.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch

import nets
from concave_sparsity import L1, Log
from nets.data import load

SOLVERS = ("magnitude", "wanda", "sparsegpt", "sparsegpt+refit", "alps", "concave")


def main() -> None:
    """Train dense once, prune by each solver at each density, print accuracies and the certificate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--densities", type=float, nargs="*", default=[0.2, 0.1, 0.05])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()

    data = load("digits")
    trained = nets.retrain(None, "lenet-300-100", data, epochs=options.epochs)
    calibration = data.normalise(data.x_train[: options.samples])
    x, y = data.normalise(data.x_test), data.y_test
    print(f"dense: {trained.test_accuracy:.1%}")

    def prune(density: float, **settings: Any) -> nets.Ticket:
        return nets.prune(trained.model, calibration, density, certify=False, **settings)

    def accuracy(ticket: nets.Ticket) -> float:
        network = ticket.apply(copy.deepcopy(trained.model)).eval()
        with torch.no_grad():
            return float((network(x).argmax(1) == y).float().mean())

    print(f"{'weights kept':16s}" + "".join(f"{density:10.0%}" for density in options.densities))
    for solver in SOLVERS:
        tickets = [prune(d, solver=solver) for d in options.densities]
        print(f"{solver:16s}" + "".join(f"{accuracy(ticket):10.1%}" for ticket in tickets))
    for name, penalty in (("path, l1", L1()), ("path, log(0.1)", Log(0.1))):
        tickets = [prune(d, penalty=penalty, search=False) for d in options.densities]
        print(f"{name:16s}" + "".join(f"{accuracy(ticket):10.1%}" for ticket in tickets))
    last = nets.prune(trained.model, calibration, options.densities[-1], allocation="global")
    print(
        f"\none price for all layers at {options.densities[-1]:.0%}: {accuracy(last):.1%}\n{last.certificate}"
    )


if __name__ == "__main__":
    main()

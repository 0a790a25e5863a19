"""Compare methods over densities and seeds from Python: the table, the verdicts, the picture.

Run ``python examples/compare_methods.py [--picture FILE]``; half a minute.
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt

import nets


def main() -> None:
    """Print difference and verdict of every method and density, draw accuracy against density."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="compare_methods.png")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    found = nets.compare(
        methods=("dense", "concave", "magnitude", "random"),
        densities=(0.2, 0.05, 0.02),
        seeds=options.seeds,
        epochs=options.epochs,
        workers=1,
    )
    for row in found.table():
        print(f"{row['method']:10}{row['density']:6.0%}  {row['to_dense']:16}{row['verdict_text']}")
    ax = found.plot()
    ax.figure.savefig(options.picture, dpi=160)
    plt.close(ax.figure)


if __name__ == "__main__":
    main()

"""Compare methods over densities and seeds from Python: the table, the verdicts, the picture.

Run ``python examples/compare_methods.py``, which draws compare_methods.png; half a minute.
"""

from __future__ import annotations

import matplotlib.pyplot as plt

import nets


def main(epochs: int = 6, seeds: int = 3) -> None:
    """Print difference and verdict of every method and density, draw accuracy against density."""
    found = nets.compare(
        methods=("dense", "concave", "magnitude", "random"),
        densities=(0.2, 0.05, 0.02),
        seeds=seeds,
        epochs=epochs,
        workers=1,
    )
    for row in found.table():
        print(f"{row['method']:10}{row['density']:6.0%}  {row['to_dense']:16}{row['verdict_text']}")
    ax = found.plot()
    ax.figure.savefig("compare_methods.png", dpi=160)
    plt.close(ax.figure)


if __name__ == "__main__":
    main()

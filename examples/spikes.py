"""Find spikes in a blurred, noisy signal: l1 finds them too small, a concave penalty does not.

Run ``python examples/spikes.py``, which draws spikes.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from concave_sparsity import L1, MCP
from concave_sparsity.plot_style import in_style, look, new_axes
from convex_analysis import RegressionProblem, path


@in_style
def main() -> None:
    """Blur spikes, find them again under both penalties, draw what was found."""
    rng = np.random.default_rng(3)
    n = 120
    spikes = np.zeros(n)
    spikes[[15, 38, 60, 66, 95]] = [2.0, -1.5, 1.0, 1.8, -2.2]
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    blur = np.exp(-0.5 * (distance / 2.0) ** 2)
    signal = blur @ spikes + 0.1 * rng.standard_normal(n)

    ax = new_axes()[0]
    ax.plot(signal, color="#bbbbbb", label="what is measured")
    ax.plot(np.flatnonzero(spikes), spikes[spikes != 0], "k_", markersize=14, label="the true spikes")
    for name, penalty, number in (("l1", L1(), 1), ("MCP", MCP(3.0), 0)):
        found = path(RegressionProblem(blur, signal, penalty=penalty)).best("ebic")
        error = np.linalg.norm(found.x - spikes) / np.linalg.norm(spikes)
        print(f"{name}: {found.support.size} spikes, relative error {error:.2f}")
        style = {**look(number), "linestyle": "none"}
        ax.plot(found.support, found.x[found.support], **style, label=f"{name}: error {error:.0%}")
    ax.set_xlabel("place")
    ax.set_ylabel("height")
    ax.set_title("five spikes behind a blur")
    ax.legend(ncols=2)
    ax.figure.savefig("spikes.png")
    plt.close(ax.figure)


if __name__ == "__main__":
    main()

"""Which pixels does a ticket look at? The first layer of LeNet-300-100 on digits, at 5% of the weights.

Run ``python examples/pixels.py``, which draws pixels.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt

import nets
from concave_sparsity.plot_style import HEAT, in_style, new_axes
from nets.data import load


@in_style
def main(epochs: int = 8) -> None:
    """Find a ticket by each method, count the connections of every pixel, draw them beside the mean image."""
    data = load("digits")
    images = [("mean image", data.x_train.float().mean(0).reshape(8, 8))]
    for method in ("concave", "random"):
        ticket = nets.find_ticket("lenet-300-100", data, method=method, density=0.05, epochs=epochs)
        kept = next(iter(ticket.masks.values())).float()
        images.append((f"{method} ticket", kept.sum(0).reshape(8, 8)))
        border = kept.reshape(-1, 8, 8)[:, :, [0, 7]].mean() / kept.mean()
        print(f"{method}: the left and right edge keep {border:.2f} of the average share")
    axes = new_axes(3, height=2.1)
    most = max(float(image.max()) for _, image in images[1:])  # one scale for both tickets
    for ax, (title, image) in zip(axes, images):
        scale = {} if ax is axes[0] else {"vmin": 0, "vmax": most}
        shown = ax.imshow(image.numpy(), cmap=HEAT, **scale)
        ax.set_title(title)
        ax.grid(False)
        ax.set_xlabel("column")
        ax.set_ylabel("row")
        ax.figure.colorbar(shown, ax=ax, shrink=0.75, label="brightness" if ax is axes[0] else "connections")
    axes[0].figure.savefig("pixels.png")
    plt.close(axes[0].figure)


if __name__ == "__main__":
    main()

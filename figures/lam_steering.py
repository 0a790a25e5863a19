"""How lam is steered: where it is read off, and how the mask follows under three laws."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures import style

DENSITY, SEED = 0.02, 0
#: Laws by name: options of the method concave.
LAWS: dict[str, dict[str, Any]] = {
    "curvature": {},
    "quantile of the gain": {"update": "proximal"},
    "dual ascent": {"update": "proximal", "law": "dual-ascent"},
}
#: Shares of the search at which the curvatures are shown.
MOMENTS = (0.1, 0.4, 0.9)


def compute() -> dict[str, Any]:
    """Search a ticket on digits under every law, and keep the curvatures at three moments."""
    import nets
    from nets.training.loop import Hook

    class Curvatures(Hook):
        """Sorted curvatures of the mask entries, thinned."""

        watches_only = True

        def __init__(self) -> None:
            self.kept: list[dict[str, Any]] = []

        def after_backward(self, loop: Any) -> None:
            due = round(MOMENTS[len(self.kept)] * loop.steps) if len(self.kept) < len(MOMENTS) else -1
            if loop.step == due:
                (mask,) = (hook for hook in loop.hooks if hasattr(hook, "curvature"))
                h = np.sort(mask.curvature(loop).numpy())[::-1] / np.sqrt(mask.steps_averaged)
                places = np.unique(np.geomspace(1, h.size, 300).astype(int)) - 1
                self.kept.append(
                    {
                        "share": loop.share,
                        "target": mask.target(loop.share),
                        "rank": (places + 1) / h.size,
                        "h": h[places],
                        "lam": mask.lam,
                    }
                )

    told: dict[str, Any] = {"density": DENSITY, "seed": SEED, "torch": version("torch"), "laws": {}}
    watch = Curvatures()
    for name, options in LAWS.items():
        hooks = [] if options else [watch]
        ticket = nets.find_ticket(
            "lenet-300-100", "digits", density=DENSITY, seed=SEED, options=options, hooks=hooks
        )
        told["laws"][name] = {curve: list(values) for curve, values in ticket.trace.items()}
        told["laws"][name]["cut_loss"] = ticket.metadata["report"]["cut_loss"]
    told["moments"] = watch.kept
    told["steps"] = max(max(curves["step"]) for curves in told["laws"].values())
    return told


def draw(data: dict[str, Any]) -> Figure:
    """Draw the curvatures with lam, the mean of the mask beside the density wanted, and lam."""
    figure, axes = style.canvas(1, 3, 2.9)
    where, follows, prices = axes[0]
    for i, moment in enumerate(data["moments"]):
        rank, h = 100 * np.array(moment["rank"]), np.array(moment["h"], dtype=float)
        where.plot(rank, h, **style.look(i + 3), label=f"{100 * moment['share']:.0f}% of the search")
        at = 100 * moment["target"]
        where.plot(at, np.interp(at, rank, h), "o", color=style.COLOURS[i + 3])
    where.set(xscale="log", yscale="log", xlabel="rank of the entry, % of all", ylabel="curvature $h_i$")
    where.set_ylim(bottom=1e-10)
    where.legend(fontsize=7, loc="lower left")
    style.name_panel(where, "a", "where λ is read off")
    for i, (name, curves) in enumerate(data["laws"].items()):
        share = 100 * np.array(curves["step"]) / data["steps"]
        follows.plot(share, 100 * np.array(curves["above_half"]), **style.look(i))
        lam = np.array(curves["lam"], dtype=float)
        prices.plot(share[lam > 0], lam[lam > 0], **style.look(i), label=name)
    curves = next(iter(data["laws"].values()))
    share = 100 * np.array(curves["step"]) / data["steps"]
    (wanted,) = follows.plot(
        share,
        100 * np.array(curves["target"]),
        color="#bbbbbb",
        linewidth=5,
        zorder=1,
        label="density wanted",
    )
    follows.set(yscale="log", xlabel="share of the search, %", ylabel="mask entries above ½, %")
    follows.set_ylim(top=400)  # room for the legend
    follows.set_yticks([2, 10, 50, 100], ["2", "10", "50", "100"])
    follows.set_yticks([], minor=True)
    follows.legend(handles=[wanted], fontsize=7, loc="upper right")
    style.name_panel(follows, "b", "the mask follows")
    prices.set(yscale="log", xlabel="share of the search, %", ylabel="λ")
    prices.set_ylim(bottom=1e-9)
    prices.legend(fontsize=7, loc="lower right")
    style.name_panel(prices, "c", "the price")
    return figure

"""Layer-wise pruning as a method: train dense once, prune layer by layer, rewind or fine-tune."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from concave_sparsity import Log
from nets.granularity.layers import LayerDensities
from nets.granularity.names import n_and_m
from nets.layerwise.layer_by_layer import prune
from nets.methods.method import Method, Option
from nets.search.rounds import Snapshot
from nets.search.search import Found, Search, timed
from nets.tickets import Ticket

OPTIONS = (
    Option("samples", 1024, "training samples to keep the outputs on; a fifth of them is held out to judge"),
    Option("ridge", 0.01, "damping, relative to the mean square of a layer's inputs"),
    Option("rewinding", "weights", 'what the ticket starts from: "weights" rewound, or "fine-tuning"'),
    Option("fine_tune", 0.1, "rate of fine-tuning, as a share of the peak learning rate"),
)


def layerwise_method(
    name: str, summary: str, reference: str, *, needs: tuple[str, ...] = (), revision: int = 0
) -> Method:
    """Return the method that prunes by a solver of layers.

    Parameters
    ----------
    name : str
        Of the method, and of the solver; "layerwise" is the concave one.
    summary, reference : str
        See `Method`.
    needs, revision
        See `Method`.
    """
    penalised = "penalty" in needs
    allocation = Option("allocation", "global", "where weights are shared out: in a row, a layer, globally")
    return Method(
        name=name,
        summary=summary,
        reference=reference,
        find=_find("concave" if penalised else name),
        cost=lambda density, epochs, options: epochs,
        needs=needs,
        options=(*OPTIONS, allocation) if penalised else OPTIONS,
        chain=True,
        granularities=("weight", "n:m", "channel") if penalised else ("weight", "n:m"),
        revision=revision,
    )


def _find(solver: str) -> Callable[[Search], Iterable[Found]]:
    def find(search: Search) -> Iterable[Found]:
        """Train the dense network once; every density is pruned from the same trained weights."""
        options = search.options
        rewinding = options["rewinding"]
        if rewinding not in ("weights", "fine-tuning"):
            raise ValueError(f'rewinding must be "weights" or "fine-tuning", got {rewinding!r}')
        if isinstance(search.layout.groups, LayerDensities):
            raise ValueError(
                "layer-wise pruning takes one density, not one a layer: give density=0.1, or prune parts of "
                "the network by nets.prune(..., include=...)"
            )
        snapshot = Snapshot(search.rewind)
        search.train(*([snapshot] if search.rewind else []))
        rewound = snapshot.weights if search.rewind else search.initial
        seconds = timed()
        # Ten batches, of which every fifth is held out for the certificate.
        batches = [x for x, _ in search.batches(options["samples"], max(1, options["samples"] // 10))]
        search.charge(sum(len(x) for x in batches), seconds())
        granularity = search.layout.groups.name
        for density in search.densities:
            seconds = timed()
            ticket = prune(
                search.flat.model,
                batches,
                0.5 if n_and_m(granularity) else density,
                penalty=search.penalty or Log(0.1),
                granularity=granularity,
                allocation=options.get("allocation"),
                solver=solver,
                ridge=options["ridge"],
                include=search.layout.names,
            )
            search.charge(0, seconds())
            tuned = rewinding == "fine-tuning"
            mask = search.layout.join({name: m.to(batches[0].device) for name, m in ticket.masks.items()})
            yield search.found(
                mask,
                density,
                weights=ticket.weights if tuned else rewound,
                trace=_layers(ticket, search.layout.names),
                fine_tune=options["fine_tune"] if tuned else 0.0,
            )

    return find


def _layers(ticket: Ticket, names: Sequence[str]) -> dict[str, list[float]]:
    """Return what is certified of each pruned tensor, sorted by name: means over its matrices.

    So they stand as the densities of layers do in a stored result. Figures that a layer lacks are left out.
    """
    assert ticket.certificate is not None
    told = {}
    for key, figure in (
        ("layer_error", "error"),
        ("layer_held_out", "held_out"),
        ("layer_bound", "best_count"),
    ):
        values = [
            math.fsum(getattr(layer, figure) for layer in found) / len(found)
            for found in (
                [one for one in ticket.certificate.layers if one.name.partition("[")[0] == name]
                for name in sorted(names)
            )
            if found
        ]
        if len(values) == len(names) and all(map(math.isfinite, values)):
            told[key] = values
    return told


LAYERWISE = layerwise_method(
    "layerwise",
    "after one training, sparse least squares with a concave penalty in each row of each layer",
    "docs/layerwise.md; the penalty: Fracastoro et al., IEEE TNNLS 2024, arXiv 2501.11135",
    needs=("penalty",),
    revision=1,
)


ALPS = layerwise_method(
    "alps",
    "after one training, operator splitting on the support of each layer",
    "Meng, Behdin, Wang, Mazumder, NeurIPS 2024, arXiv 2406.07831",
    revision=1,
)


OBC = layerwise_method(
    "obc",
    "after one training, exact removals one by one in each row of each layer",
    "Frantar, Singh, Alistarh, NeurIPS 2022, arXiv 2208.11580",
    revision=1,
)


SPARSEGPT = layerwise_method(
    "sparsegpt",
    "after one training, second-order pruning of each layer, column by column with updates",
    "Frantar, Alistarh, ICML 2023, arXiv 2301.00774",
    revision=1,
)


WANDA = layerwise_method(
    "wanda",
    "after one training, the largest weight times norm of its input, row by row",
    "Sun, Liu, Bair, Kolter, ICLR 2024, arXiv 2306.11695",
    revision=1,
)

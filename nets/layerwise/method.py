"""Layer-wise pruning as a method of finding tickets: train dense once, prune, rewind or fine-tune."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from concave_sparsity import Log
from nets.layerwise.layer_by_layer import prune
from nets.methods.method import Method, Option
from nets.rounds import Snapshot
from nets.search import Found, Search, timed

OPTIONS = (
    Option("samples", 1024, "training samples that the layers' outputs are kept on"),
    Option("ridge", 0.01, "damping, relative to the mean square of a layer's inputs"),
    Option("rewinding", "weights", 'what the ticket starts from: "weights" rewound, or "fine-tuning"'),
    Option("fine_tune", 0.1, "rate of fine-tuning, as a share of the peak learning rate"),
)


def method(name: str, summary: str, reference: str, penalised: bool = False) -> Method:
    """Return the method that prunes by a solver of layers.

    Parameters
    ----------
    name : str
        Of the method, and of the solver; "layerwise" is the concave one.
    summary, reference : str
        See `Method`.
    penalised : bool
        Whether it takes a penalty.
    """
    allocation = Option("allocation", "layer", "where weights are shared out: in a row, a layer, globally")
    return Method(
        name=name,
        summary=summary,
        reference=reference,
        find=_find("concave" if penalised else name),
        cost=lambda density, epochs, options: epochs,
        needs=("penalty",) if penalised else (),
        options=(*OPTIONS, allocation) if penalised else OPTIONS,
        chain=True,
    )


def _find(solver: str) -> Callable[[Search], Iterable[Found]]:
    def find(search: Search) -> Iterable[Found]:
        """Train the dense network once; every density is pruned from the same trained weights."""
        options = search.options
        rewinding = options["rewinding"]
        if rewinding not in ("weights", "fine-tuning"):
            raise ValueError(f'rewinding must be "weights" or "fine-tuning", got {rewinding!r}')
        snapshot = Snapshot(search.rewind)
        search.train(*([snapshot] if search.rewind else []))
        rewound = snapshot.weights if search.rewind else search.initial
        seconds = timed()
        batches = [x for x, _ in search.batches(options["samples"])]
        search.charge(sum(len(x) for x in batches), seconds())
        granularity = "weight" if search.layout.groups is None else search.layout.groups.name
        for density in search.densities:
            seconds = timed()
            ticket = prune(
                search.flat.model,
                batches,
                density if granularity == "weight" else 0.5,
                penalty=search.penalty or Log(0.1),
                granularity=granularity,
                allocation=options.get("allocation", "layer"),
                solver=solver,
                ridge=options["ridge"],
                include=search.layout.names,
                certify=False,
                hold_out=False,
            )
            search.charge(0, seconds())
            tuned = rewinding == "fine-tuning"
            mask = search.layout.join({name: m.to(batches[0].device) for name, m in ticket.masks.items()})
            yield search.found(
                mask,
                density,
                weights=ticket.weights if tuned else rewound,
                fine_tune=options["fine_tune"] if tuned else 0.0,
            )

    return find

"""Layer-wise pruning of trained networks: the concave solver beside its rivals.

    python benchmarks/layerwise.py layers      # every solver on the same moments of every layer
    python benchmarks/layerwise.py networks    # nets.prune with its defaults, and what the network keeps
    python benchmarks/layerwise.py units       # whole channels and heads, beside magnitude and random ones
    python benchmarks/layerwise.py report      # tables of the stored results, into all pages that show them

"layers" takes the moments of each layer's inputs in the dense network, prunes the layer by every solver at
every density (the count is the layer's, as each solver shares it out), and notes the relative error of the
outputs on the calibration data and on held-out data. "networks" prunes the whole network in order, each
layer on what the layers pruned before it put out, and judges the network on held-out data; it notes seconds
and peak memory. Finished rows are stored at once in figures/results/layerwise_layers.json and
layerwise_networks.json and not made again: either command may be stopped at any moment. Networks: see
`layerwise_networks`. Data sets that are not there are left out with the reason.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nets
from benchmarks.convex_report import environment
from benchmarks.layerwise_networks import ENCODER, KEPT, SUBJECTS, TRAINED, Subject, subject
from concave_sparsity import L1, MCP, SCAD, CappedL1, Exponential, Log, Lq, Penalty
from nets.layerwise import Calibration, layer_solver
from nets.layerwise.moments import gather
from nets.layerwise.rows import LayerProblem, prune_rows
from nets.layerwise.sites import find_sites
from nets.layerwise.support import density_count, relative_error
from nets.storage.atomic import write_bytes

app = cyclopts.App(name="layerwise.py", help=__doc__)
RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

Matrix = NDArray[np.float64]
Density = float | str
RIVALS = ("magnitude", "wanda", "sparsegpt", "sparsegpt+refit", "obc", "alps")
#: Ours: penalty, and whether exchanges follow the path. Exchanges level what they start from, so penalties
#: are compared without them: l1 is the path of a convex problem, refitted on its support.
OURS: dict[str, tuple[Penalty, bool]] = {
    "concave": (Log(0.1), True),
    "concave, path": (Log(0.1), False),
    "l1": (L1(), False),
    "l1, exchanges": (L1(), True),
}
#: The other families, on the small networks.
FAMILIES: dict[str, tuple[Penalty, bool]] = {
    "log(0.01), path": (Log(0.01), False),
    "log(1), path": (Log(1.0), False),
    "lq(0.5), path": (Lq(0.5), False),
    "mcp(2), path": (MCP(2.0), False),
    "scad(3.7), path": (SCAD(3.7), False),
    "capped-l1(0.5), path": (CappedL1(0.5), False),
    "exponential(4), path": (Exponential(4.0), False),
}
#: Densities of the encoder are the ones people ask for; small networks bear less.
DENSITIES: dict[str, tuple[Density, ...]] = {
    **dict.fromkeys(TRAINED, (0.5, 0.2, 0.1, 0.05, "2:4")),
    ENCODER: (0.5, 0.2, "2:4", 0.3),
}
#: Multiplications of OBC (out * d^3 / 3) above which a layer is not small.
OBC_LIMIT = 5e10
RIDGE = 0.01
#: Networks that lose whole units, which, and at what densities (of heads: of the attention's weights).
UNITS: dict[str, tuple[str, tuple[float, ...]]] = {
    "lenet-5 on mnist": ("channel", (0.5, 0.25, 0.1)),
    "lenet-5 on cifar10": ("channel", (0.5, 0.25)),
    "vit-lite-6 on digits": ("head", (0.75, 0.5)),
}
TICKETS = "lenet-300-100 on mnist"
#: Rows of a layer of the encoder that are pruned, evenly spread: each is a problem of its own.
ENCODER_ROWS = 16


class Store:
    """Rows of a JSON file, found by what they are about; each is written at once, also from two processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows stored so far."""
        return json.loads(self.path.read_text())["rows"] if self.path.is_file() else []

    def get(self, **about: Any) -> dict[str, Any] | None:
        """Return the row about this, if it is there."""
        return next((row for row in self.rows if all(row[k] == v for k, v in about.items())), None)

    def put(self, row: dict[str, Any], **about: Any) -> None:
        """Add the row about this, or replace it; layers are added to those that it has."""
        with FileLock(f"{self.path}.lock"):
            old = self.get(**about)
            if old is not None and "layers" in old:
                row = {**row, "layers": {**old["layers"], **row["layers"]}}
            rows = [other for other in self.rows if other != old]
            rows.append({**about, **row})
            rows.sort(
                key=lambda r: (
                    r["subject"],
                    r["seed"],
                    str(r["density"]),
                    r["method"],
                    r.get("allocation", ""),
                )
            )
            head = json.dumps({"environment": versions(), "made": time.strftime("%Y-%m-%d")})[:-1]
            lines = ",\n".join(json.dumps(one, separators=(",", ":"), allow_nan=False) for one in rows)
            write_bytes(self.path, f'{head},"rows":[\n{lines}\n]}}\n'.encode(), durable=False)


def versions() -> dict[str, Any]:
    """Return versions, processor and threads."""
    found = environment()
    kept = ("python", "concave-sparsity", "numpy", "scipy", "numba")
    return {
        **found,
        "versions": {name: found["versions"][name] for name in kept} | {"torch": torch.__version__},
        "torch_threads": torch.get_num_threads(),
    }


def solver(method: str) -> Callable[[Matrix, Matrix, Density], Matrix]:
    """Return what prunes a layer: a rival by its name, ours by the name of its penalty."""
    if method not in OURS | FAMILIES:
        return partial(layer_solver(method), ridge=RIDGE)
    penalty, search = (OURS | FAMILIES)[method]

    def ours(weights: Matrix, gram: Matrix, density: Density) -> Matrix:
        count = density if isinstance(density, str) else density_count(density, weights.size)
        problem = LayerProblem.of(gram, weights, ridge=RIDGE)
        return prune_rows(problem, penalty, count, search=search)[1]

    return ours


def methods_of(name: str) -> tuple[str, ...]:
    """Return the solvers that a network is pruned by: of the encoder, those that take minutes."""
    return (*OURS, *(r for r in RIVALS if r != "obc")) if name == ENCODER else (*OURS, *RIVALS, *FAMILIES)


def grams(found: Subject, name: str, seed: int, held_out: bool) -> dict[str, Matrix]:
    """Return X'X / n of every layer's inputs in the dense network, shape (groups, d, d), by parameter.

    They are kept, and not made again.
    """
    part = "held-out" if held_out else "calibration"
    file = KEPT / f"{name.replace(' ', '_')}_{seed}_{part}.npz"
    if not file.is_file():
        sites, _ = find_sites(found.model, (), found.exclude)
        data = Calibration.of(found.held_out if held_out else found.calibration)
        with torch.no_grad():
            moments = gather(found.model, found.model, sites, data)
        shared = {id(one.inputs): parameter for parameter, one in moments.items()}
        KEPT.mkdir(parents=True, exist_ok=True)
        partial_file = file.with_suffix(".partial.npz")
        np.savez(
            partial_file,
            **{shared[id(one.inputs)]: one.means(False)[0].astype(np.float32) for one in moments.values()},
            shared=json.dumps({parameter: shared[id(one.inputs)] for parameter, one in moments.items()}),
        )
        partial_file.replace(file)
    with np.load(file) as stored:
        shared = json.loads(str(stored["shared"]))
        read = {parameter: stored[parameter].astype(np.float64) for parameter in set(shared.values())}
    return {parameter: read[other] for parameter, other in shared.items()}


@app.command
def layers(
    subjects: Sequence[str] = SUBJECTS,
    seeds: Sequence[int] = (0, 1, 2),
    methods: Sequence[str] = (),
    densities: Sequence[Density] = (),
    match: str = "",
) -> None:
    """Prune every layer by every solver on the same moments.

    Parameters
    ----------
    subjects
        Networks; default: all.
    seeds
        Of the training (or, of the encoder, of the sentences) and of the calibration.
    methods
        Default: all.
    densities
        Default: those of the network.
    match
        Only layers in whose names this regular expression is found.
    """
    kept = Store(RESULTS / "layerwise_layers.json")
    for seed in seeds:
        for name, found in available(subjects, seed):
            sites, _ = find_sites(found.model, (), found.exclude)
            order = np.random.default_rng(0).permutation(len(sites))  # what is done so far is a fair sample
            sites = [sites[i] for i in order if re.search(match, sites[i].name)]
            calibration, held_out = (grams(found, name, seed, part) for part in (False, True))
            parameters = dict(found.model.named_parameters())
            for site in sites:
                weights = site.values(parameters)
                if name == ENCODER:
                    weights = weights[:, :: -(-weights.shape[1] // ENCODER_ROWS)]
                for density in densities or DENSITIES[name]:
                    for method in methods or methods_of(name):
                        about = {"subject": name, "seed": seed, "density": density, "method": method}
                        row = kept.get(**about) or {"layers": {}}
                        if site.name in row["layers"] or too_large(method, weights):
                            continue
                        measured = one_layer(
                            method, weights, calibration[site.name], held_out[site.name], density
                        )
                        kept.put({"layers": {site.name: measured}}, **about)
                        print(name, seed, site.name, density, method, measured, flush=True)


#: Solvers that have run in this process.
warm: set[str] = set()


def one_layer(
    method: str, weights: Matrix, gram: Matrix, held_out: Matrix, density: Density
) -> list[float | int]:
    """Return errors on calibration and held-out data, processor seconds, and the number of weights kept."""
    solve = solver(method)
    if method not in warm:  # what is compiled on first use is compiled before the clock starts
        warm.add(method)
        solve(np.eye(8), np.eye(8), density)
    began = time.process_time()
    pruned = np.stack([solve(w, g, density) for w, g in zip(weights, gram)])
    seconds = time.process_time() - began
    flat = [
        sum(relative_error(w, v, g) * np.vdot(w @ g, w) for w, v, g in zip(weights, pruned, of))
        / sum(np.vdot(w @ g, w) for w, g in zip(weights, of))
        for of in (gram, held_out)
    ]
    return [*(float(f"{x:.5g}") for x in (*flat, seconds)), int(np.count_nonzero(pruned))]


def too_large(method: str, weights: Matrix) -> bool:
    """Tell whether this is OBC on a layer that is not small."""
    groups, out, d = weights.shape
    return method == "obc" and groups * out * d**3 / 3 > OBC_LIMIT


def available(subjects: Sequence[str], seed: int) -> Iterator[tuple[str, Subject]]:
    """Yield the networks that can be had here; of the others say why not."""
    for name in subjects:
        if name not in SUBJECTS:
            raise ValueError(f"unknown network {name!r}; choose from {', '.join(SUBJECTS)}")
        try:
            yield name, subject(name, seed)
        except (FileNotFoundError, ImportError, OSError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)


@app.command
def networks(
    subjects: Sequence[str] = SUBJECTS,
    seeds: Sequence[int] = (0, 1, 2),
    methods: Sequence[str] = (*OURS, *RIVALS),
    densities: Sequence[Density] = (),
    allocations: Sequence[str] = ("layer", "global", "default"),
) -> None:
    """Prune whole networks by `nets.prune` and judge them on held-out data.

    Parameters
    ----------
    subjects, seeds, methods, densities
        As of `layers`.
    allocations
        Of `nets.prune` ("default": its own choice); rivals are shared out as ours are. A pattern N:M leaves
        nothing to share out.
    """
    kept = Store(RESULTS / "layerwise_networks.json")
    for seed in seeds:
        for name, found in available(subjects, seed):
            about: dict[str, Any] = {
                "subject": name,
                "seed": seed,
                "density": 1.0,
                "method": "dense",
                "allocation": "layer",
            }
            if kept.get(**about) is None:
                nothing = {"seconds": 0.0, "processor_seconds": 0.0, "peak_mib": 0.0}
                kept.put({"scores": found.score(found.model), **nothing, **sizes(found)}, **about)
            sites, _ = find_sites(found.model, (), found.exclude)
            parameters = dict(found.model.named_parameters())
            for density in densities or DENSITIES[name]:
                for method in methods:
                    large = any(too_large(method, site.matrix(parameters[site.parameter])) for site in sites)
                    for allocation in allocations if not isinstance(density, str) else ("layer",):
                        about |= {"density": density, "method": method, "allocation": allocation}
                        if kept.get(**about) is None and not large:
                            row = one_network(found, method, density, allocation)
                            kept.put(row, **about)
                            print(about, row, flush=True)


def sizes(found: Subject) -> dict[str, float]:
    """Return what the model and the largest Gram matrix (in double precision) take up, in MiB."""
    sites, _ = find_sites(found.model, (), found.exclude)
    parameters = dict(found.model.named_parameters())
    width = max(site.matrix(parameters[site.parameter]).shape[-1] for site in sites)
    held = [*found.model.parameters(), *found.model.buffers()]
    return {
        "model_mib": round(sum(t.numel() * t.element_size() for t in held) / 2**20, 1),
        "gram_mib": round(8 * width**2 / 2**20, 1),
    }


def one_network(found: Subject, method: str, density: Density, allocation: str) -> dict[str, Any]:
    """Return what the network keeps, the seconds, the share kept, and the peak of memory above the start."""
    calibration = found.calibration[:: 1 if len(found.calibration) < 16 else 2]  # 512 sentences
    share = {"granularity": density} if isinstance(density, str) else {"density": density}
    ours: dict[str, Any] = {"solver": method}
    if method in OURS:
        ours = {"penalty": OURS[method][0], "search": OURS[method][1]}
    chosen = None if allocation == "default" else allocation
    how: dict[str, Any] = {"allocation": chosen, "ridge": RIDGE, **share, **ours}
    tiny = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    nets.prune(tiny, torch.eye(8).repeat(20, 1), **how)  # compiles what is compiled on first use
    start = memory(reset=True)
    began, worked = time.perf_counter(), time.process_time()
    ticket = nets.prune(found.model, calibration, exclude=found.exclude, **how)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    peak = memory() - start
    pruned = ticket.apply(copied(found.model))
    return {
        "scores": {key: float(f"{value:.6g}") for key, value in found.score(pruned).items()},
        "seconds": round(seconds, 2),
        "processor_seconds": round(worked, 2),
        "peak_mib": round(peak, 1),
        "kept": ticket.density,
        **held_out_figures(ticket),
    }


def held_out_figures(ticket: nets.Ticket) -> dict[str, float]:
    """Return what the certificate tells of held-out data, if there were any."""
    certificate = ticket.certificate
    assert certificate is not None
    told = {
        "layer_error": statistics.fmean(layer.held_out for layer in certificate.layers),
        "output_change": certificate.output_change,
        "output_bound": certificate.output_bound,
    }
    return {key: float(f"{x:.5g}") for key, x in told.items() if math.isfinite(x)}


def copied(model: torch.nn.Module) -> torch.nn.Module:
    import copy

    return copy.deepcopy(model)


def memory(reset: bool = False) -> float:
    """Return the peak of resident memory since the last reset (or now, where it is reset), in MiB."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    status = Path("/proc/self/status").read_text()
    field = "VmRSS" if reset else "VmHWM"
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field))) / 1024


@app.command
def tickets(
    methods: Sequence[str] = ("layerwise",),
    densities: Sequence[float] = (0.05, 0.02, 0.01, 0.005),
    seeds: Sequence[int] = (0, 1, 2),
) -> None:
    """Rewind the masks to the initial weights and retrain them: LeNet-300-100 on MNIST, 5 epochs a training.

    Parameters
    ----------
    methods
        Of `lottery compare`; the others' accuracies under the same protocol are those of
        figures/results/mnist_all_methods.json; `python -m figures.front gather` lays them side by side.
    densities, seeds
        Of the tickets.
    """
    kept = Store(RESULTS / "layerwise_tickets.json")
    for seed in seeds:
        for density in densities:
            for method in methods:
                about = {"subject": TICKETS, "seed": seed, "density": density, "method": method}
                if kept.get(**about) is None:
                    play = nets.Play(
                        data="mnist", model="lenet-300-100", method=method, density=density, seed=seed
                    )
                    row = nets.play(play).row()
                    kept.put(
                        {key: row[key] for key in ("test_accuracy", "validation_accuracy", "kept")}
                        | {"search_epochs": row["search_epochs_spent"]},
                        **about,
                    )
                    print(about, row["test_accuracy"], flush=True)


@app.command
def units(
    subjects: Sequence[str] = tuple(UNITS),
    seeds: Sequence[int] = (0, 1, 2),
    methods: Sequence[str] = ("concave", "magnitude", "magnitude+refit", "random", "random+refit"),
    allocations: Sequence[str] = ("layer", "global"),
) -> None:
    """Take whole channels or heads out of networks and judge them without retraining.

    Parameters
    ----------
    subjects, seeds, methods, allocations
        As of `networks`; random units are drawn anew for each seed.
    """
    kept = Store(RESULTS / "layerwise_units.json")
    for seed in seeds:
        for name, found in available(subjects, seed):
            granularity, asked = UNITS[name]
            about: dict[str, Any] = {
                "subject": name, "seed": seed, "density": 1.0, "method": "dense", "allocation": "layer",
            }  # fmt: skip
            if kept.get(**about) is None:
                kept.put({"scores": found.score(found.model), "granularity": granularity}, **about)
            for density in asked:
                for method in methods:
                    for allocation in allocations:
                        about |= {"density": density, "method": method, "allocation": allocation}
                        if kept.get(**about) is not None:
                            continue
                        torch.manual_seed(seed)
                        ticket = nets.prune(
                            found.model,
                            found.calibration,
                            density,
                            granularity=granularity,
                            allocation=allocation,
                            solver=method,
                            ridge=RIDGE,
                            certify=False,
                        )
                        scores = found.score(ticket.apply(copied(found.model)))
                        row = {
                            "scores": {key: float(f"{value:.6g}") for key, value in scores.items()},
                            "kept": ticket.density,
                            "units_kept": ticket.metadata["units_kept"],
                            "units": ticket.metadata["units"],
                            "seconds": round(ticket.seconds, 2),
                            "granularity": granularity,
                            **held_out_figures(ticket),
                        }
                        kept.put(row, **about)
                        print(about, row, flush=True)


@app.command
def report() -> None:
    """Write the tables of the stored results into every page that shows them: `python -m figures.tables`."""
    from figures import tables

    tables.write()


if __name__ == "__main__":
    app()

"""Layer-wise pruning of trained networks: the concave solver beside its rivals.

    python benchmarks/layerwise.py layers      # every solver on the same moments of every layer
    python benchmarks/layerwise.py networks    # nets.prune with its defaults, and what the network keeps
    python benchmarks/layerwise.py report      # tables of the stored results, into benchmarks/README.md

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
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np
import torch
from convex_report import environment
from layerwise_networks import ENCODER, SUBJECTS, TRAINED, Subject, subject
from numpy.typing import NDArray

import nets
from concave_sparsity import L1, MCP, SCAD, CappedL1, Exponential, Log, Lq, Penalty
from nets.layerwise import Calibration, layer_solver
from nets.layerwise.moments import gather
from nets.layerwise.sites import find_sites
from nets.layerwise.support import relative_error

app = cyclopts.App(name="layerwise.py", help=__doc__)
RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

Matrix = NDArray[np.float64]
Density = float | str
RIVALS = ("magnitude", "wanda", "sparsegpt", "sparsegpt+refit", "obc", "alps")
#: Ours: the default penalty, and l1 through the same solver; the other families on the small networks.
OURS: dict[str, Penalty] = {"concave": Log(0.1), "l1": L1()}
FAMILIES: dict[str, Penalty] = {
    "log(0.01)": Log(0.01),
    "log(1)": Log(1.0),
    "lq(0.5)": Lq(0.5),
    "mcp(2)": MCP(2.0),
    "scad(3.7)": SCAD(3.7),
    "capped-l1(0.5)": CappedL1(0.5),
    "exponential(4)": Exponential(4.0),
}
#: Densities of the encoder are the ones people ask for; small networks bear less.
DENSITIES: dict[str, tuple[Density, ...]] = {
    **dict.fromkeys(TRAINED, (0.5, 0.2, 0.1, 0.05, "2:4")),
    ENCODER: (0.5, 0.2, "2:4", 0.3),
}
#: Multiplications of OBC (out * d^3 / 3) above which a layer is not small.
OBC_LIMIT = 6e10
RIDGE = 0.01


class Store:
    """Rows of a JSON file, found by what they are about; written anew, atomically, with every row added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.is_file() else []

    def get(self, **about: Any) -> dict[str, Any] | None:
        """Return the row about this, if it is there."""
        return next((row for row in self.rows if all(row[k] == v for k, v in about.items())), None)

    def put(self, row: dict[str, Any], **about: Any) -> None:
        """Add the row about this, or replace it."""
        self.rows = [old for old in self.rows if not all(old[k] == v for k, v in about.items())]
        self.rows.append({**about, **row})
        record = {"environment": versions(), "made": time.strftime("%Y-%m-%d"), "rows": self.rows}
        partial_file = self.path.with_suffix(".partial")
        partial_file.write_text(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
        partial_file.replace(self.path)


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
    penalty = (OURS | FAMILIES).get(method)
    if penalty is None:
        return partial(layer_solver(method), ridge=RIDGE)
    return partial(layer_solver("concave"), ridge=RIDGE, penalty=penalty)  # type: ignore[call-arg]


def methods_of(name: str) -> tuple[str, ...]:
    return (*OURS, *RIVALS, *(FAMILIES if name != ENCODER else ()))


def grams(found: Subject, held_out: bool) -> dict[str, Matrix]:
    """Return X'X / n of every layer's inputs in the dense network, shape (groups, d, d), by parameter."""
    sites, _ = find_sites(found.model, (), found.exclude)
    data = Calibration.of(found.held_out if held_out else found.calibration)
    with torch.no_grad():
        moments = gather(found.model, found.model, sites, data)
    return {name: one.means(False)[0] for name, one in moments.items()}


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
        Only layers whose names hold this text.
    """
    store = Store(RESULTS / "layerwise_layers.json")
    for seed in seeds:
        for name, found in available(subjects, seed):
            sites, _ = find_sites(found.model, (), found.exclude)
            sites = [site for site in sites if match in site.name]
            calibration, held_out = grams(found, False), grams(found, True)
            parameters = dict(found.model.named_parameters())
            for site in sites:
                weights = site.matrix(parameters[site.parameter].detach()).double().numpy()
                for density in densities or DENSITIES[name]:
                    for method in methods or methods_of(name):
                        about = {"subject": name, "seed": seed, "density": density, "method": method}
                        row = store.get(**about) or {"layers": {}}
                        if site.name in row["layers"] or too_large(method, weights):
                            continue
                        measured = one_layer(
                            method, weights, calibration[site.name], held_out[site.name], density
                        )
                        store.put({"layers": {**row["layers"], site.name: measured}}, **about)
                        print(name, seed, site.name, density, method, measured, flush=True)


def one_layer(
    method: str, weights: Matrix, gram: Matrix, held_out: Matrix, density: Density
) -> list[float | int]:
    """Return errors on calibration and held-out data, seconds, and the number of weights kept."""
    solve = solver(method)
    began = time.perf_counter()
    pruned = np.stack([solve(w, g, density) for w, g in zip(weights, gram)])
    seconds = time.perf_counter() - began
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
) -> None:
    """Prune whole networks by `nets.prune` and judge them on held-out data.

    Parameters
    ----------
    subjects, seeds, methods, densities
        As of `layers`.
    """
    store = Store(RESULTS / "layerwise_networks.json")
    for seed in seeds:
        for name, found in available(subjects, seed):
            about: dict[str, Any] = {"subject": name, "seed": seed, "density": 1.0, "method": "dense"}
            if store.get(**about) is None:
                store.put({"scores": found.score(found.model), "seconds": 0.0, "peak_mib": 0.0}, **about)
            sites, _ = find_sites(found.model, (), found.exclude)
            parameters = dict(found.model.named_parameters())
            for density in densities or DENSITIES[name]:
                for method in methods:
                    about |= {"density": density, "method": method}
                    large = any(too_large(method, site.matrix(parameters[site.parameter])) for site in sites)
                    if store.get(**about) is None and not large:
                        row = one_network(found, method, density)
                        store.put(row, **about)
                        print(about, row, flush=True)


def one_network(found: Subject, method: str, density: Density) -> dict[str, Any]:
    """Return what the network keeps, the seconds, the share kept, and the peak of memory above the start."""
    share = {"granularity": density} if isinstance(density, str) else {"density": density}
    ours = {"penalty": OURS[method]} if method in OURS else {"solver": method}
    start = memory(reset=True)
    began = time.perf_counter()
    ticket = nets.prune(found.model, found.calibration, exclude=found.exclude, ridge=RIDGE, **share, **ours)
    seconds = time.perf_counter() - began
    peak = memory() - start
    pruned = ticket.apply(copied(found.model))
    return {
        "scores": {key: float(f"{value:.6g}") for key, value in found.score(pruned).items()},
        "seconds": round(seconds, 2),
        "peak_mib": round(peak, 1),
        "kept": ticket.density,
    }


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

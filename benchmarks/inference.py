"""What a ticket saves: seconds of an inference by every route, bytes of its files, peak memory; beside dense.

    python benchmarks/inference.py                 # about six minutes; goes on where it was stopped
    python benchmarks/inference.py --fresh         # the same from the start
    python benchmarks/inference.py --smoke         # the same code over tiny settings; nothing is kept
    python benchmarks/inference.py --memory        # measures the peaks of memory anew, and nothing else
    python benchmarks/inference.py --table         # prints the stored results as markdown

Every finished row is written to figures/results/inference.json at once. Speed does not depend on which
weights are kept, so masks are random ones of the density told: no unit happens to be dead, which a learned
mask may offer besides. All routes of one case take turns within each round (`nets.export.measure`); ratios
are medians over the rounds of dense seconds / the route's, with quartiles. Memory is the peak of a process of
its own beyond what the same took with a tiny network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

import nets
from nets.runs.environment import environment
from nets.tickets import Ticket

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results" / "inference.json"


def mlp(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv(width: int) -> nn.Module:
    """Return four convolutions with batch normalisation and two linear layers."""
    layers: list[nn.Module] = []
    channels = 3
    for block in (width, 2 * width):
        for _ in range(2):
            layers += [nn.Conv2d(channels, block, 3, padding=1), nn.BatchNorm2d(block), nn.ReLU()]
            channels = block
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(channels * 64, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers)


def thinned(model: nn.Module, density: float, shape: tuple[int, ...]) -> Ticket:
    """Return a ticket of single weights drawn at random."""
    generator = torch.Generator().manual_seed(0)
    masks = {
        name: torch.rand(p.shape, generator=generator) < density
        for name, p in model.named_parameters()
        if p.dim() > 1
    }
    state = {k: v.clone() for k, v in model.state_dict().items()}
    return Ticket(masks, state, {"input_shape": list(shape)})


def halved(model: nn.Module, shape: tuple[int, ...]) -> Ticket:
    """Return a ticket that keeps the first half of every hidden layer's channels."""
    from nets.granularity.coupling import coupling

    names = tuple(name for name, p in model.named_parameters() if p.dim() > 1)
    units = coupling(model, names, torch.randn(1, *shape))
    alive = torch.ones(units.units + 1, dtype=torch.bool)
    for name in units.outputs:
        own = units.outputs[name].unique()
        own = own[own >= 0]
        alive[own[len(own) // 2 :]] = False
    masks = {}
    for name, p in model.named_parameters():
        if p.dim() > 1:
            layer = name.removesuffix(".weight")
            both = alive[units.outputs[layer]][:, None] & alive[units.inputs[layer]]
            masks[name] = both.reshape(*both.shape, *[1] * (p.dim() - 2)).expand(p.shape).clone()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    return Ticket(masks, state, {"input_shape": list(shape)})


Case = tuple[str, Callable[[], tuple[nn.Module, Ticket]], tuple[int, ...]]


def cases(smoke: bool) -> list[Case]:
    """Return name, network with ticket, and batch sizes."""

    def unstructured(sizes: tuple[int, ...], density: float) -> Callable[[], tuple[nn.Module, Ticket]]:
        def make() -> tuple[nn.Module, Ticket]:
            model = mlp(*sizes)
            return model, thinned(model, density, sizes[:1])

        return make

    def channels(width: int) -> Callable[[], tuple[nn.Module, Ticket]]:
        def make() -> tuple[nn.Module, Ticket]:
            model = conv(width)
            return model, halved(model, (3, 32, 32))

        return make

    def two_of_four() -> tuple[nn.Module, Ticket]:
        model = mlp(784, 1000, 1000, 10)
        masks = {}
        for name, p in model.named_parameters():
            if p.dim() > 1:
                places = p.detach().abs().view(len(p), -1, 4).topk(2).indices
                kept = torch.zeros(len(p), p.shape[1] // 4, 4, dtype=torch.bool).scatter_(2, places, True)
                masks[name] = kept.view(p.shape)
        state = {k: v.clone() for k, v in model.state_dict().items()}
        return model, Ticket(masks, state, {"input_shape": [784], "granularity": "2:4"})

    if smoke:
        return [("small, 10%", unstructured((30, 20, 5), 0.1), (1, 9)), ("conv, half", channels(4), (2,))]
    return [
        ("LeNet-300-100, 2%", unstructured((784, 300, 100, 10), 0.02), (1, 8, 32, 128)),
        ("784-1000-1000-10, 10%", unstructured((784, 1000, 1000, 10), 0.1), (1, 8, 32, 128)),
        ("4 x 1000, 10%", unstructured((1000, 1000, 1000, 1000, 1000), 0.1), (1, 8, 32, 128)),
        ("784-1000-1000-10, 2:4", two_of_four, (1, 32)),
        ("conv 32-32-64-64, half of the channels", channels(32), (1, 8, 32, 128)),
    ]


def files(model: nn.Module, ticket: Ticket) -> dict[str, int]:
    """Return bytes of the files of a network; "int8" are 8-bit weights under the mask."""
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in nets.export.FORMS:
            sizes[form] = nets.export.save(model, ticket, Path(folder) / form, form=form).stat().st_size
        half = nets.export.save(model, ticket, Path(folder) / "half", dtype=torch.float16)
        sizes["packed, fp16"] = half.stat().st_size
        sizes["ticket"] = ticket.save(Path(folder) / "ticket").stat().st_size
    return sizes


#: One process each: peak and present MiB beyond what the same did with a tiny network before.
MEMORY = """
import ctypes, gc, sys, warnings
import torch
torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
import nets, inference
from nets.configuration import Training
warnings.simplefilter("ignore")
x = torch.randn(2000, 784)
data = (x, (x[:, 0] > 0).long())
training = Training(epochs=1, batch_size=100)

def status(what):  # of this program alone: ru_maxrss would count the parent's peak too
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what))

def peak():
    return status("VmHWM")

def held():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system (glibc)
    return status("VmRSS")

def act(what, width):
    model = inference.mlp(784, width, width, 2)
    if what == "dense training":
        return nets.retrain(None, model, data, training=training)
    if what == "search":
        return nets.find_ticket(model, data, "concave", density=0.1, training=training)
    ticket = inference.thinned(model, 0.1, (784,))
    if what == "retraining":
        return nets.retrain(ticket, model, data, training=training)
    from nets.export.chain import Chain
    run = Chain(ticket.masked(model)) if what == "sparse inference" else model.eval()
    with torch.inference_mode():
        run(x[:32])
    return run

act({what!r}, 4)
before, present = peak(), held()
kept = act({what!r}, {width})
print((peak() - before) / 1024, (held() - present) / 1024)
"""

MEASURED = ("dense training", "search", "retraining", "dense inference", "sparse inference")


def memory(what: str, width: int) -> dict[str, float]:
    """Return peak and held MiB of a thing done with a network 784-width-width-2, in its own process."""
    code = MEMORY.format(folder=str(Path(__file__).resolve().parent), what=what, width=width)
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    peak, held = (float(number) for number in out.stdout.split()[-2:])
    return {"peak": peak, "held": held}


def table(results: dict[str, Any]) -> str:
    """Return the stored results as markdown."""
    lines = []
    routes = [route for route in nets.export.ROUTES if route != "dense"]
    if results["speed"]:
        lines += ["| network | threads | batch | dense, ms | " + " | ".join(routes) + " | fastest |"]
        lines += ["| --- " * (5 + len(routes)) + "|"]
    for row in results["speed"]:
        times = {t["route"]: t for t in row["timings"]}
        cells = [
            "–" if route not in times or times[route]["note"] else f"{times[route]['speedup']:.2f}"
            for route in routes
        ]
        dense = f"{1e3 * times['dense']['seconds']:.3f}"
        first = [row["case"], str(row["threads"]), str(row["batch"]), dense]
        lines.append("| " + " | ".join([*first, *cells, row["best"]]) + " |")
    if results["files"]:
        kinds = list(next(iter(results["files"].values())))
        lines += ["", "| network | " + " | ".join(kinds) + " |", "| --- " * (1 + len(kinds)) + "|"]
    for case, sizes in results["files"].items():
        lines.append(f"| {case} | " + " | ".join(f"{sizes[kind]:,}" for kind in kinds) + " |")
    if results["memory"]:
        lines += ["", "| 784-2000-2000-2, 10% | peak, MiB | held, MiB |", "| --- | --- | --- |"]
    for what, found in results["memory"].items():
        lines.append(f"| {what} | {found['peak']:.0f} | {found['held']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--memory", action="store_true", help="the peaks of memory anew, nothing else")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", help="only these batch sizes")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.02, help="of a route in a round")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.out.read_text(encoding="utf-8"))))
        return
    began = time.perf_counter()
    results: dict[str, Any] = {"environment": environment("cpu"), "speed": [], "files": {}, "memory": {}}
    if arguments.out.exists() and not (arguments.fresh or arguments.smoke):
        results |= json.loads(arguments.out.read_text(encoding="utf-8"))

    def keep() -> None:
        if not arguments.smoke:
            arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    rounds, seconds = (3, 0.001) if arguments.smoke else (arguments.rounds, arguments.seconds)
    done = {(row["case"], row["threads"], row["batch"]) for row in results["speed"]}
    if arguments.memory:
        results["memory"] = {}
    for name, make, batches in () if arguments.memory else cases(arguments.smoke):
        asked = [b for b in batches if not arguments.batches or b in arguments.batches]
        settings = [(b, t) for t in arguments.threads for b in asked if (name, t, b) not in done]
        if not settings and name in results["files"]:
            continue
        torch.manual_seed(0)
        model, ticket = make()
        results["files"][name] = files(model, ticket)
        told = nets.export.measurements(model, ticket, settings, rounds=rounds, seconds=seconds)
        for measured in told:
            print(name, measured, sep="\n", flush=True)
            row = {"case": name, "threads": measured.threads, "batch": measured.batch, "best": measured.best}
            row |= {"load": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            results["speed"].append({**row, "timings": [asdict(t) for t in measured.timings]})
            keep()
    for what in MEASURED:
        if what not in results["memory"]:
            results["memory"][what] = memory(what, 64 if arguments.smoke else 2000)
            keep()
    print(table(results))
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

"""What `nets.Masking` costs in a plain loop: its step beside the dense step of the same network, as a ratio.

    python benchmarks/own_loop.py                   # CPU; three minutes
    python benchmarks/own_loop.py --device cuda     # on a GPU, eager and compiled
    python benchmarks/own_loop.py --smoke           # seconds; the same code over tiny settings

The loop is that of every tutorial: forward, backward, ``optimiser.step()``, ``optimiser.zero_grad()``. Three
of them take turns in one process, block by block: dense, under `nets.Masking` (the concave search for 5%, in
the middle of its training, where the target density still falls) and under `Ticket.hold`. Each block is
compared with the dense block of its turn, and the median of these ratios is told. A block holds whole
intervals between two updates of the mask. Inputs are noise: the time does not depend on them. Results go to
figures/results/own-loop-DEVICE.json, and their table is printed as README.md has it.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import nets
from nets.models import build
from nets.runs.environment import environment
from nets.storage.atomic import write_bytes

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

DENSITY = 0.05

#: Most that a masked step may take, as a multiple of the dense one, by device.
TARGETS = {"cpu": 1.10, "cuda": 1.05}


class Transformer(nn.Module):
    """A small language model: two layers of width 128, tied embedding."""

    def __init__(self, words: int = 256, width: int = 128, length: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the next word, shape (words, samples * length)."""
        hidden: Tensor = self.layers(self.words(x) + self.places)
        return self.head(hidden).flatten(0, 1)


@dataclass(frozen=True)
class Case:
    """A network, its optimiser, and the step that is timed; `block` steps a turn."""

    name: str
    make: Callable[[], tuple[nn.Module, Tensor, Tensor]]
    optimiser: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]
    block: int
    turns: int


def images(model: str, batch: int, shape: tuple[int, ...]) -> Callable[[], tuple[nn.Module, Tensor, Tensor]]:
    """Return what makes a network of the library and a batch of noise for it."""

    def make() -> tuple[nn.Module, Tensor, Tensor]:
        return build(model, shape, 10), torch.randn(batch, *shape), torch.randint(0, 10, (batch,))

    return make


def text() -> tuple[nn.Module, Tensor, Tensor]:
    """Return the small transformer and a batch of random words."""
    words = torch.randint(0, 256, (8, 32))
    return Transformer(), words, torch.randint(0, 256, (words.numel(),))


def sgd(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return SGD with momentum and decay."""
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4)


def adamw(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return AdamW, so slow that the batch is not learnt by heart."""
    return torch.optim.AdamW(parameters, lr=1e-6)


CASES = (
    Case("lenet-300-100, batch 128, SGD", images("lenet-300-100", 128, (1, 28, 28)), sgd, 100, 21),
    Case("conv-2, batch 32, SGD", images("conv-2", 32, (3, 32, 32)), sgd, 10, 5),
    Case("transformer, 8 x 32 words, AdamW", text, adamw, 20, 9),
)
SMOKE = (Case("lenet-300-100, batch 8, SGD", images("lenet-300-100", 8, (1, 8, 8)), sgd, 10, 2),)

KINDS = ("dense", "search", "hold")


def stepper(case: Case, kind: str, device: str, compiled: bool) -> Callable[[], None]:
    """Return a function that makes one step of a kind."""
    torch.manual_seed(0)
    made, x, y = case.make()
    model, x, y = made.to(device), x.to(device), y.to(device)
    optimiser = case.optimiser(list(model.parameters()))
    if kind == "search":
        steps = 2 * case.block * (case.turns + 1)
        masking = nets.Masking(model, optimiser, density=DENSITY, steps=steps, exclude=left_out(model))
        masking.step = steps // 3  # in the middle of the descent
    elif kind == "hold":
        spare = copy.deepcopy(model)
        drawn = nets.Masking(
            spare, case.optimiser(list(spare.parameters())), "random", density=DENSITY, steps=2,
            exclude=left_out(model),
        )  # fmt: skip
        nets.Ticket({n: m > 0.5 for n, m in drawn.masks.items()}, model.state_dict()).hold(model, optimiser)
    run: Any = torch.compile(model) if compiled else model

    def step() -> None:
        functional.cross_entropy(run(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def left_out(model: nn.Module) -> list[str]:
    """Return the names of embeddings, which are meant to stay."""
    return [name for name, _ in model.named_parameters() if name in ("words.weight", "places")]


def measure(case: Case, device: str, compiled: bool, now: Callable[[], float]) -> dict[str, Any]:
    """Return milliseconds a step of every kind and the medians of the ratios to the dense step."""
    steps = {kind: stepper(case, kind, device, compiled) for kind in KINDS}
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(case.turns + 1):
        for kind in KINDS if turn % 2 else KINDS[::-1]:
            _wait(device)
            began = now()
            for _ in range(case.block):
                steps[kind]()
            _wait(device)
            if turn:  # the first is the warm-up
                seconds[kind].append((now() - began) / case.block)
    ratios = {kind: [a / b for a, b in zip(seconds[kind], seconds["dense"])] for kind in KINDS[1:]}
    return {
        "turns": case.turns,
        "milliseconds": {kind: 1e3 * statistics.median(found) for kind, found in seconds.items()},
        "over_dense": {kind: statistics.median(found) for kind, found in ratios.items()},
        "quartiles": {kind: statistics.quantiles(found, n=4)[::2] for kind, found in ratios.items()},
    }


def table(steps: Mapping[str, Any]) -> str:
    """Return the figures as a table in Markdown: medians, the quartiles of the ratios in brackets."""
    lines = ["| step | dense, ms | search / dense | fixed mask / dense |", "| --- | --- | --- | --- |"]
    for label, found in steps.items():
        cells = [f"{found['milliseconds']['dense']:.2f}"]
        for kind in KINDS[1:]:
            low, high = found["quartiles"][kind]
            cells.append(f"{found['over_dense'][kind]:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on CPU; default: 1 and 2")
    parser.add_argument("--processor", action="store_true", help="processor time, for a machine in use")
    parser.add_argument("--smoke", action="store_true", help="tiny settings, nothing written but to --out")
    parser.add_argument("--only", default="", help="cases whose names hold this; the other rows stay stored")
    parser.add_argument("--out", type=Path, help="folder of the results; default: figures/results")
    given = parser.parse_args(arguments)
    on_cpu = torch.device(given.device).type == "cpu"
    now = time.process_time if given.processor else time.perf_counter
    told_of = environment(given.device)
    name = re.sub(r"[^a-z0-9]+", "-", str(told_of.get("device_name") or given.device).lower()).strip("-")
    folder = given.out or (None if given.smoke else RESULTS)
    report: dict[str, Any] = {
        "environment": told_of,
        "density": DENSITY,
        "target": TARGETS["cpu" if on_cpu else "cuda"],
        "clock": "processor" if given.processor else "wall",
        "steps": {},
    }
    path = folder / f"own-loop-{name}.json" if folder else None
    if given.only and path and path.exists():
        report["steps"] = json.loads(path.read_text())["steps"]
    torch.set_flush_denormal(True)  # noise ends in denormals, which slow whichever step has more
    for case in SMOKE if given.smoke else CASES:
        if given.only not in case.name:
            continue
        for compiled in (False,) if on_cpu else (False, True):
            for threads in given.threads if on_cpu else [torch.get_num_threads()]:
                torch.set_num_threads(threads)
                found = measure(case, given.device, compiled, now)
                label = f"{case.name}, {'compiled' if compiled else 'eager'}"
                label += f", threads {threads}" if on_cpu else ""
                report["steps"][label] = found
                ratios = "  ".join(f"{kind} {ratio:.3f}" for kind, ratio in found["over_dense"].items())
                print(f"{label}: dense {found['milliseconds']['dense']:.3f} ms;  {ratios}", flush=True)
                if path:  # at once: what is measured stays if the next is cut
                    path.parent.mkdir(parents=True, exist_ok=True)
                    content = json.dumps(report, indent=1, sort_keys=True) + "\n"
                    write_bytes(path, content.encode())
    print(table(report["steps"]))


if __name__ == "__main__":
    main()

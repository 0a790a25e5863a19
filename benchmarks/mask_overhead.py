"""What a mask costs: a masked training step beside the dense step of the same network, as a ratio.

    python benchmarks/mask_overhead.py                   # CPU; some minutes
    python benchmarks/mask_overhead.py --device cuda     # on a GPU, eager and compiled
    python benchmarks/mask_overhead.py --smoke           # seconds; the same code over tiny settings

Three kinds of masked step, all through the one training loop: the search of the concave method (relaxed mask
at 5%, in the middle of its training, where the target density still falls), retraining under a fixed mask,
and a mask computed from trained scores (continuous sparsification, with Adam on the scores). Blocks of
`BLOCK` steps of every kind take turns in one process; within a turn each is compared with the dense block of
that turn, and the median of these ratios is told. A block holds whole intervals between two updates of the
relaxed mask. Inputs are noise of the data set's shape: the time does not depend on them. Results go to
figures/results/mask-overhead-DEVICE.json.
(The script is not called nets.py, which would hide the package `nets` from it.)
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from concave_sparsity import Log
from nets.configuration import Training
from nets.data import Dataset
from nets.masking.course import SparseTraining
from nets.masking.scored_mask import ScoredMask
from nets.methods import method
from nets.methods.concave import relaxed_mask
from nets.methods.gates import sigmoid_mask
from nets.models import build
from nets.runs.environment import environment
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

DENSITY = 0.05

#: Most that a masked step may take, as a multiple of the dense one, by device.
TARGETS = {"cpu": 1.10, "cuda": 1.05}


@dataclass(frozen=True)
class Case:
    """A network and the step that is timed; `block` steps a turn."""

    model: str
    shape: tuple[int, ...]
    batch: int
    block: int = 20
    turns: int = 15


CASES = (
    Case("lenet-300-100", (1, 28, 28), 128, block=100, turns=21),
    Case("conv-2", (3, 32, 32), 128, block=10, turns=5),
    Case("conv-4", (3, 32, 32), 128, block=10, turns=5),
    Case("resnet-20", (3, 32, 32), 128, block=10, turns=5),
)
SMOKE = (Case("lenet-300-100", (1, 8, 8), 8, block=10, turns=2),)


class Clock(Hook):
    """Times the steps between the first and the last of a block, the device waited for at both ends."""

    watches_only = True

    def __init__(self, device: torch.device, now: Callable[[], float]) -> None:
        self._device, self._now = device, now
        self.first = self.last = 0
        self.seconds = 0.0

    def after_step(self, loop: Loop) -> None:
        """Start or stop the clock."""
        if loop.step in (self.first, self.last):
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            self.seconds = self._now() - self.seconds


def noise(case: Case, device: str) -> Dataset:
    """Return random inputs of the case's shape."""
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, torch.Tensor] = {}
    for part, n in (("train", case.batch * (case.block + 1)), ("validation", 1), ("test", 1)):
        parts[f"x_{part}"] = torch.randn(n, *case.shape, generator=generator)
        parts[f"y_{part}"] = torch.randint(0, 10, (n,), generator=generator)
    return Dataset("noise", **parts, n_classes=10).to(device)


def hooks(kind: str, flat: FlatModel) -> list[Hook]:
    """Return the hooks of a kind of step."""
    if kind == "search":
        return [relaxed_mask(method("concave").settle({}), Log(0.02), DENSITY)]
    if kind == "fixed mask":
        drawn = torch.rand(flat.n, generator=torch.Generator().manual_seed(0))
        return [SparseTraining((drawn < DENSITY).to(flat.weights.device))]
    if kind == "scored mask":
        o = method("continuous-sparsification").settle({})

        def relaxation(scores: torch.Tensor, moment: Any) -> torch.Tensor:
            return sigmoid_mask(scores, float(o["sharpness"]), moment.share)

        start = torch.full_like(flat.weights, float(o["start"]))
        return [
            ScoredMask(
                start, relaxation, lr=float(o["lr"]), adam=True, cost=relaxation, density=DENSITY, descent=0.3
            )
        ]
    return []


KINDS = ("dense", "search", "fixed mask", "scored mask")


def measure(case: Case, device: str, way: dict[str, Any], now: Callable[[], float]) -> dict[str, Any]:
    """Return milliseconds a step of every kind and the medians of the ratios to the dense step."""
    data = noise(case, device)
    epochs = 4 * (case.turns + 2)
    training = Training(epochs=epochs, batch_size=case.batch, lr=0.01, weight_decay=5e-4, **way)
    loops: dict[str, Loop] = {}
    clocks: dict[str, Clock] = {}
    for kind in KINDS:
        flat = FlatModel(build(case.model, data).to(device))
        clocks[kind] = Clock(torch.device(device), now)
        start = (epochs // 2) * (case.block + 1)
        own = [*hooks(kind, flat), clocks[kind]]
        loops[kind] = Loop(flat, data, training, seed=0, hooks=own, start=start, part=None)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(case.turns + 1):
        for kind in KINDS if turn % 2 else KINDS[::-1]:
            loop, clock = loops[kind], clocks[kind]
            clock.first, clock.last = loop.step + 1, loop.step + 1 + case.block
            clock.seconds = 0.0
            loop.run(until=clock.last)
            if turn:  # the first is the warm-up
                seconds[kind].append(clock.seconds / case.block)
    told: dict[str, Any] = {"weights": loops["dense"].flat.n, "batch": case.batch, "turns": case.turns}
    told["milliseconds"] = {kind: 1e3 * statistics.median(found) for kind, found in seconds.items()}
    told["over_dense"] = {
        kind: statistics.median(a / b for a, b in zip(seconds[kind], seconds["dense"])) for kind in KINDS[1:]
    }
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on CPU; default: 1 and 2")
    parser.add_argument("--models", nargs="+", choices=[case.model for case in CASES])
    parser.add_argument("--processor", action="store_true", help="processor time, for a machine in use")
    parser.add_argument("--smoke", action="store_true", help="tiny settings, nothing written but to --out")
    parser.add_argument("--out", type=Path, help="folder of the results; default: figures/results")
    given = parser.parse_args(arguments)
    cases = SMOKE if given.smoke else [c for c in CASES if not given.models or c.model in given.models]
    on_cpu = torch.device(given.device).type == "cpu"
    ways: dict[str, dict[str, Any]] = {"eager": {}}
    if not on_cpu:
        ways["compiled"] = {"compile": True}
    now = time.process_time if given.processor else time.perf_counter
    told_of = environment(given.device)
    name = re.sub(r"[^a-z0-9]+", "-", str(told_of.get("device_name") or given.device).lower()).strip("-")
    folder = given.out or (None if given.smoke else RESULTS)
    path = folder / f"mask-overhead-{name}.json" if folder else None
    told: dict[str, Any] = json.loads(path.read_text()) if path and path.exists() else {"steps": {}}
    told |= {"environment": told_of, "density": DENSITY, "target": TARGETS["cpu" if on_cpu else "cuda"]}
    for case in cases:
        for way, settings in ways.items():
            for threads in given.threads if on_cpu else [torch.get_num_threads()]:
                torch.set_num_threads(threads)
                found = measure(case, given.device, settings, now)
                label = f"{case.model}, {way}" + (f", threads {threads}" if on_cpu else "")
                told["steps"][label] = found
                ratios = "  ".join(f"{kind} {ratio:.3f}" for kind, ratio in found["over_dense"].items())
                print(f"{label}: dense {found['milliseconds']['dense']:.3f} ms;  {ratios}", flush=True)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        print(path)


if __name__ == "__main__":
    main()

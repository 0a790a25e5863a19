"""Speed on one GPU: dense training, concave search, tickets an hour; eager, compiled and as CUDA graphs.

    python benchmarks/gpu.py                 # on a machine with a GPU; some minutes
    python benchmarks/gpu.py --full          # and whole trainings: dense, search, search + retraining
    python benchmarks/gpu.py --smoke         # on any machine, in seconds: the same code over tiny settings

ResNet-20 on CIFAR-10, batch 512 (the data set if it lies in the data folder, else noise of its shape: the
time does not depend on the pixels). For every way of running: seconds an epoch of the dense training and of
the concave search, turn by turn, and their ratio (the overhead of the mask); the share of the roof, which is
the larger of the time that the operations take at the measured rate of a large matrix product and the time
that the least traffic of activations takes at the measured rate of a copy. Then several tickets at once on
the one GPU. Every way runs in a process of its own: one that fails leaves the others alone. Results go to
figures/results/gpu-DEVICE.json with the names of device and driver and the versions.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nets.configuration import Training
from nets.data import Dataset, load
from nets.executors.pool import Tell, run_all
from nets.executors.processes import Processes
from nets.lottery import find_ticket, retrain
from nets.models import build
from nets.models.flops import count_flops
from nets.runs.environment import environment
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results"

#: Ways of running forward and backward.
WAYS: dict[str, dict[str, Any]] = {
    "eager": {},
    "eager, bfloat16": {"precision": "bfloat16"},
    "eager, bfloat16, channels last": {"precision": "bfloat16", "channels_last": True},
    "compiled, bfloat16, channels last": {"precision": "bfloat16", "channels_last": True, "compile": True},
    "graphs": {"graphs": True},
    "graphs, bfloat16, channels last": {"precision": "bfloat16", "channels_last": True, "graphs": True},
    "compiled graphs, bfloat16, channels last": {
        "precision": "bfloat16",
        "channels_last": True,
        "compile": True,
        "graphs": True,
    },
}

#: Targets on one H200-class GPU: seconds of a dense training, of a ticket, and search over dense.
TARGETS = {"dense_seconds": 60.0, "ticket_seconds": 130.0, "search_over_dense": 1.05}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    device: str = "cuda"
    model: str = "resnet-20"
    batch: int = 512
    samples: int = 50_000
    epochs: int = 160
    timed: int = 4
    repeats: int = 3
    matrix: int = 8192
    copied: int = 2**30
    at_once: tuple[int, ...] = (1, 2, 4, 8)
    ticket_epochs: int = 8
    ways: tuple[str, ...] = tuple(WAYS)
    synthetic: bool = False


SMOKE = Size(
    device="cpu",
    batch=16,
    samples=48,
    epochs=1,
    timed=1,
    repeats=1,
    matrix=64,
    copied=2**16,
    at_once=(2,),
    ticket_epochs=1,
    ways=("eager", "eager, bfloat16, channels last"),
)


def images(size: Size) -> Dataset:
    """Return CIFAR-10, or noise of its shape, on the device."""
    if not size.synthetic and size.samples == Size.samples:
        try:
            return load("cifar10", download=False).to(size.device)
        except OSError:
            pass
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, Tensor] = {}
    for part, n in (("train", size.samples), ("validation", 16), ("test", 16)):
        parts[f"x_{part}"] = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
        parts[f"y_{part}"] = torch.randint(0, 10, (n,), generator=generator)
    from nets.data import Augmentation

    mean, std = torch.full((3,), 0.47), torch.full((3,), 0.25)
    noise = Dataset("noise", **parts, n_classes=10, augmentation=Augmentation(), mean=mean, std=std)
    return noise.to(size.device)


def training(size: Size, way: Mapping[str, Any], epochs: int | None = None) -> Training:
    """Return the published setting: SGD, 0.1 dropped at one half and three quarters, weight decay 1e-3."""
    return Training(
        epochs=epochs or size.epochs,
        batch_size=size.batch,
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-3,
        schedule="step",
        **way,
    )


def wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def roof(size: Size, data: Dataset) -> dict[str, float]:
    """Measure the rates of a matrix product and of a copy, and what a training step needs of both."""
    dtype = torch.bfloat16
    a, b = (torch.randn(size.matrix, size.matrix, device=size.device).to(dtype) for _ in range(2))
    product = best(lambda: a @ b, size.device)
    source = torch.zeros(size.copied, dtype=torch.uint8, device=size.device)
    target = torch.empty_like(source)
    copy = best(lambda: target.copy_(source), size.device)
    model = build(size.model, data)
    count = count_flops(model, data.input_shape)
    return {
        "product_flops": 2.0 * size.matrix**3 / product,
        "copy_bytes": 2.0 * size.copied / copy,
        "flops_a_step": 3.0 * count.dense * size.batch,
        # A fused implementation reads and writes each activation between two convolutions twice on the way
        # forward, and reads it twice, its gradient twice, and writes its gradient once on the way back.
        "bytes_a_step": 6.0 * 2.0 * size.batch * activations(model, data),
        "steps_an_epoch": data.n_train // min(size.batch, data.n_train),
    }


def best(act: Callable[[], Any], device: str, seconds: float = 1.0) -> float:
    """Return the least time of a call: calls in groups of ten, after a warm-up."""
    for _ in range(3):
        act()
    wait(device)
    found, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        for _ in range(10):
            act()
        wait(device)
        found = min(found, (time.perf_counter() - start) / 10)
        if device == "cpu":
            break
    return found


def activations(model: nn.Module, data: Dataset) -> float:
    """Return the entries that the convolutions and linear layers put out for one sample."""
    entries = [0]

    def add(module: nn.Module, inputs: Any, output: Tensor) -> None:
        entries[0] += output.numel()

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(add) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, *data.input_shape))
    for handle in handles:
        handle.remove()
    return float(entries[0])


def apart(function: Callable[[Any, Tell], Any], task: Any) -> Any:
    """Run a task in a process of its own: what fails on the device may leave a process unusable."""
    with Processes(function, lambda message: None, 1) as pool:
        (ended,) = run_all(pool, [task])
    if ended.failure:
        raise RuntimeError(ended.failure)
    return ended.value


def epochs_of(task: tuple[Size, str], tell: Tell) -> dict[str, Any]:
    """Time epochs of the dense training and of the concave search, turn by turn."""
    size, way = task[0], WAYS[task[1]]
    data = images(size)
    from concave_sparsity import Log
    from nets.methods import method
    from nets.methods.concave import relaxed_mask

    options = method("concave").settle({})
    seconds: dict[str, list[float]] = {"dense": [], "search": []}
    peak: dict[str, float] = {}
    for _ in range(size.repeats):
        for kind in seconds:
            flat = FlatModel(build(size.model, data).to(size.device))
            hooks = [relaxed_mask(options, Log(0.02), 0.05)] if kind == "search" else []
            loop = Loop(flat, data, training(size, way), seed=0, hooks=hooks, part=None)
            if torch.device(size.device).type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            clock = Epochs(size)
            loop.hooks = (*loop.hooks, clock)
            loop.run(until=min(loop.steps, (size.timed + 1) * loop.steps_per_epoch))
            seconds[kind].append(clock.an_epoch())
            if torch.device(size.device).type == "cuda":
                peak[f"{kind}_peak_bytes"] = float(torch.cuda.max_memory_allocated())
    dense, search = (statistics.median(seconds[kind]) for kind in ("dense", "search"))
    ratio = statistics.median(s / d for s, d in zip(seconds["search"], seconds["dense"]))
    return {"dense_epoch_seconds": dense, "search_epoch_seconds": search, "search_over_dense": ratio, **peak}


class Epochs(Hook):
    """Times epochs by the clock, the device waited for at their ends; the first is the warm-up."""

    watches_only = True

    def __init__(self, size: Size) -> None:
        self._device = size.device
        self._times: list[float] = []

    def start(self, loop: Loop) -> None:
        """Begin."""
        wait(self._device)
        self._times.append(time.perf_counter())

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """End an epoch."""
        wait(self._device)
        self._times.append(time.perf_counter())

    def an_epoch(self) -> float:
        """Return the median of the epochs after the first, or the only one."""
        lengths = [b - a for a, b in zip(self._times, self._times[1:])]
        return statistics.median(lengths[1:] or lengths)


def whole(task: tuple[Size, str], tell: Tell) -> dict[str, float]:
    """Time a dense training, a search and a retraining from beginning to end, compilation included."""
    size, way = task
    data, setting = images(size), training(size, WAYS[way])
    told: dict[str, float] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        wait(size.device)
        began = time.perf_counter()
        value = act()
        wait(size.device)
        told[f"{name}_seconds"] = time.perf_counter() - began
        return value

    given = {"training": setting, "device": size.device}
    dense = timed("dense", lambda: retrain(None, size.model, data, **given))
    ticket = timed("search", lambda: find_ticket(size.model, data, "concave", density=0.05, **given))
    sparse = timed("retrain", lambda: retrain(ticket, size.model, data, **given))
    told["ticket_seconds"] = told["search_seconds"] + told["retrain_seconds"]
    told["search_over_dense"] = told["search_seconds"] / told["dense_seconds"]
    told["dense_test_accuracy"], told["ticket_test_accuracy"] = dense.test_accuracy, sparse.test_accuracy
    return told


def make_ticket(task: tuple[int, int, Size, str], tell: Tell) -> float:
    """Find and retrain one ticket in a worker process; return its seconds without the process's start."""
    seed, epochs, size, way = task
    data = images(size)
    given = {"training": training(size, WAYS[way], epochs), "device": size.device, "seed": seed}
    wait(size.device)
    began = time.perf_counter()
    ticket = find_ticket(size.model, data, "concave", density=0.05, **given)
    retrain(ticket, size.model, data, **given)
    wait(size.device)
    return time.perf_counter() - began


def at_once(size: Size, way: str) -> list[dict[str, Any]]:
    """Find tickets in several processes at once on the one device.

    A first round warms every process up (compilation, choice of algorithms); two more, of `ticket_epochs` and
    twice as many, give the seconds of an epoch and what is paid once a ticket, and so a ticket of `epochs`.
    """
    told: list[dict[str, Any]] = []
    few = size.ticket_epochs
    for count in size.at_once:
        slowest = {}
        with Processes(make_ticket, lambda message: None, count) as pool:
            for turn, epochs in enumerate((1, few, 2 * few)):
                tasks = [(10 * turn + seed, epochs, size, way) for seed in range(count)]
                ended = run_all(pool, tasks)
                if failures := [end.failure for end in ended if end.failure]:
                    return [*told, {"at_once": count, "failure": failures[0]}]
                slowest[turn] = max(float(end.value) for end in ended)
        an_epoch = max(0.0, slowest[2] - slowest[1]) / few
        ticket = slowest[2] + an_epoch * (size.epochs - 2 * few)
        told.append({"at_once": count, "ticket_seconds": ticket, "tickets_an_hour": 3600 * count / ticket})
    return told


def measure(size: Size, *, full: bool) -> dict[str, Any]:
    """Return all that is measured."""
    data = images(size)
    limits = roof(size, data)
    least = limits["steps_an_epoch"] * max(
        limits["flops_a_step"] / limits["product_flops"], limits["bytes_a_step"] / limits["copy_bytes"]
    )
    told: dict[str, Any] = {
        "environment": environment(size.device),
        "size": asdict(size),
        "data": data.name,
        "roof": {**limits, "least_epoch_seconds": least},
        "ways": {},
    }
    for name in size.ways:
        try:
            found = apart(epochs_of, (size, name))
        except RuntimeError as error:
            told["ways"][name] = {"failure": str(error).splitlines()[0]}
            print(f"{name}: {told['ways'][name]['failure']}", flush=True)
            continue
        found["share_of_roof"] = least / found["dense_epoch_seconds"]
        found["whole_dense_seconds"] = found["dense_epoch_seconds"] * size.epochs
        told["ways"][name] = found
        print(
            f"{name}: dense {found['dense_epoch_seconds']:.3f} s an epoch "
            f"({100 * found['share_of_roof']:.1f}% of the roof), "
            f"search {found['search_over_dense']:.3f} of it",
            flush=True,
        )
    good = [name for name, found in told["ways"].items() if "failure" not in found]
    if not good:
        return told
    good.sort(key=lambda name: told["ways"][name]["dense_epoch_seconds"])
    told["fastest"] = good[0]
    told["at_once"] = at_once(size, good[0])
    print("tickets at once:", json.dumps(told["at_once"]), flush=True)
    if full:
        # Compilation takes its time once: the fastest epochs need not make the fastest training.
        plain = next((name for name in good if not WAYS[name].get("compile")), good[0])
        told["whole"] = {name: apart(whole, (size, name)) for name in dict.fromkeys((good[0], plain))}
        best_way = min(told["whole"].values(), key=lambda found: found["ticket_seconds"])
        told["targets"] = {
            name: {"reached": best_way[name], "target": most, "met": best_way[name] <= most}
            for name, most in TARGETS.items()
        }
        print(json.dumps(told["targets"], indent=1), flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny settings, on the CPU if there is no GPU")
    parser.add_argument("--full", action="store_true", help="whole trainings too")
    parser.add_argument("--synthetic", action="store_true", help="noise even where CIFAR-10 lies at hand")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), help="only these ways of running")
    parser.add_argument("--out", type=Path, help="folder of the results; default: figures/results")
    arguments = parser.parse_args()
    size = SMOKE if arguments.smoke else Size()
    if arguments.ways:
        size = replace(size, ways=tuple(arguments.ways))
    if arguments.synthetic:
        size = replace(size, synthetic=True)
    if not arguments.smoke and not torch.cuda.is_available():
        raise SystemExit("gpu.py needs a CUDA device; --smoke runs its code on any machine")
    told = measure(size, full=arguments.full)
    if arguments.smoke and arguments.out is None:
        return
    device = told["environment"].get("device_name") or size.device
    name = re.sub(r"[^a-z0-9]+", "-", str(device).lower()).strip("-")
    folder = arguments.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"gpu-{name}.json"
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    print(path)


if __name__ == "__main__":
    # Worker processes import what they run by name, which "__main__" is not.
    import gpu

    gpu.main()

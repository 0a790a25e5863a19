"""Tickets on the paper's ground: ResNet-20 on CIFAR-10, method by method, as far as the minutes reach.

    python benchmarks/gpu_evidence.py --minutes 9     # on a machine with a GPU; again to go on
    python benchmarks/gpu_evidence.py --smoke         # on any machine: the same code, tiny settings
    python benchmarks/gpu_evidence.py --table         # what is stored so far, beside published results

Runs are taken in the order of their priority (`TASKS`), several at once on the one card. The time of an epoch
is measured first, that many processes training at once, and goes on being measured; a run that would pass the
limit is not begun, a shorter one further down may be. Every finished row is appended to
figures/results/gpu_evidence.jsonl at once, and a row that is stored there is never made again. The
trainings of an iterative search are kept below --work as well, so that a second call on the same machine goes
on in the middle of the chain. The setting is the published one: batch 512, SGD 0.1 dropped at one half and
three quarters, momentum 0.9, weight decay 1e-3, 160 epochs, weights rewound to epoch 9 (methods that prune
before training: to the initialisation).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import seed_rows
from nets.configuration import Play, Training
from nets.data import Augmentation, Dataset, load
from nets.executors.pool import Ended, Tell
from nets.executors.processes import Processes
from nets.lottery import Untrained, find_tickets, is_dense, result_of, retrain_ticket
from nets.methods import method
from nets.models import build
from nets.runs.environment import environment
from nets.runs.trainings import StoredTrainings
from nets.tickets import Ticket
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results" / "gpu_evidence.jsonl"

DENSITIES = (0.107, 0.044, 0.018, 0.0074)

#: Methods whose weights are rewound to this epoch; those that prune before training start at the beginning.
REWIND_EPOCH = 9
LATE = ("concave", "l1", "gmp", "imp")

#: Ways of training, the fastest first; the first one that works is taken.
WAYS: tuple[dict[str, Any], ...] = (
    {"precision": "bfloat16", "channels_last": True, "graphs": True},
    {"precision": "bfloat16", "channels_last": True},
    {},
)

#: Seconds of an epoch by network, one process on a recent card, until they are measured.
SECONDS = {"resnet-20": 0.5, "vgg-16": 1.2}

#: Published test accuracies in %, by network, method and % of the weights left (the sources' own files, about
#: three runs each): the same training, IMP with 160 epochs a round.
PUBLISHED: dict[str, dict[str, dict[float, float]]] = {
    "resnet-20": {
        "dense": {100.0: 92.12},
        "imp": {10.7: 91.36, 4.4: 89.12, 1.8: 83.50, 0.74: 68.38},
        "concrete-ticket": {10.7: 87.87, 4.4: 84.72, 1.8: 80.62, 0.74: 72.54},
        "snip": {10.7: 87.52, 4.4: 82.51, 1.8: 70.52},
        "grasp": {10.7: 87.37, 4.4: 83.10, 1.8: 72.97},
        "synflow": {10.7: 85.71, 4.4: 81.39, 1.8: 73.21, 0.74: 64.56},
        "random": {10.7: 86.24, 4.4: 79.60, 1.8: 50.73},
    },
    "vgg-16": {
        "dense": {100.0: 93.7},
        "imp": {10.7: 93.95, 4.4: 94.07, 1.8: 93.62, 0.74: 93.20},
        "snip": {10.7: 93.19, 4.4: 92.65, 1.8: 91.77, 0.74: 90.42},
        "synflow": {10.7: 92.92, 4.4: 92.05, 1.8: 90.84, 0.74: 89.19},
    },
}


@dataclass(frozen=True)
class Task:
    """Tickets of one method and seed, densities in the order in which they are made."""

    method: str
    densities: tuple[float, ...]
    seed: int = 0
    model: str = "resnet-20"
    data: str = "cifar10"
    search_epochs: int = 160
    epochs: int = 160
    rounds: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """Options of the method."""
        return {"rounds": self.rounds} if self.rounds > 1 else {}

    @property
    def chain(self) -> str:
        """Name of the folder of a chain's trainings, which its densities share."""
        return f"{self.data}-{self.model}-{self.method}-{self.search_epochs}-{self.seed}"

    def key(self, density: float) -> tuple[Any, ...]:
        """Return what a row is known by."""
        return (self.data, self.model, self.method, self.search_epochs, density, self.seed, self.rounds)

    @property
    def parts(self) -> Iterator[Task]:
        """Yield the tasks of single densities."""
        for density in self.densities:
            yield replace(self, densities=(density,))


def _ground(seed: int, **place: Any) -> Iterator[Task]:
    """Yield the tasks of one seed: the dense network, then method by method."""
    yield Task("dense", (1.0,), seed, **place)
    yield from Task("concave", DENSITIES, seed, **place).parts
    yield from Task("concave", DENSITIES, seed, **place, search_epochs=40, rounds=4).parts
    for name in ("l1", "gmp"):
        yield from Task(name, DENSITIES, seed, **place).parts
    yield Task("imp", DENSITIES, seed, **place, search_epochs=40)  # one chain of trainings
    for name in ("synflow", "snip", "random"):
        yield from Task(name, DENSITIES, seed, **place).parts


#: What is run, in this order.
TASKS: tuple[Task, ...] = (
    *_ground(0),
    *_ground(1),
    *_ground(2),
    *_ground(0, model="vgg-16"),
    *_ground(0, data="cifar100"),
)


@dataclass(frozen=True)
class Setting:
    """How tasks are run here.

    Parameters
    ----------
    device : str
        "cuda", or "cpu" for the smoke run.
    deadline : float
        `time.time()` that no run may pass.
    work : str
        Folder of the trainings of chains.
    data_dir : str or None
        Data folder.
    way : tuple of pairs
        Fields of the training.
    tiny : bool
        The smoke run: noise instead of images, one epoch, rewound to the first step.
    """

    device: str
    deadline: float
    work: str
    data_dir: str | None = None
    way: tuple[tuple[str, Any], ...] = ()
    tiny: bool = False


def play_of(task: Task, density: float, setting: Setting, steps_per_epoch: int) -> Play:
    """Return the play of a ticket."""
    return Play(
        data=task.data,
        model=task.model,
        method=task.method,
        density=density,
        seed=task.seed,
        epochs=task.epochs,
        search_epochs=task.search_epochs,
        options=task.options,
        batch_size=16 if setting.tiny else 512,
        lr=0.1,
        weight_decay=1e-3,
        schedule="step",
        rewind=(1 if setting.tiny else REWIND_EPOCH * steps_per_epoch) if task.method in LATE else 0,
        device=setting.device,
        data_dir=setting.data_dir,
        **dict(setting.way),
    )


_loaded: dict[tuple[str, str], Dataset] = {}


def images(task: Task, setting: Setting) -> Dataset:
    """Return the data set on the device, loaded once a process; noise in the smoke run."""
    place = (task.data, setting.device)
    if place not in _loaded:
        if setting.tiny:
            generator = torch.Generator().manual_seed(0)
            parts: dict[str, Any] = {}
            for part, n in (("train", 48), ("validation", 16), ("test", 16)):
                shape = (n, 3, 32, 32)
                parts[f"x_{part}"] = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
                parts[f"y_{part}"] = torch.randint(0, 10, (n,), generator=generator)
            mean, std = torch.full((3,), 0.47), torch.full((3,), 0.25)
            data = Dataset(task.data, **parts, n_classes=10, augmentation=Augmentation(), mean=mean, std=std)
        else:
            # a packed copy of CIFAR-100 has its samples in another order, so its digests differ
            data = load(task.data, data_dir=setting.data_dir, download=False, verify=task.data == "cifar10")
        _loaded[place] = data.to(setting.device)
    return _loaded[place]


def work_on(order: tuple[str, Task, Setting, float], tell: Tell) -> None:
    """Do what a worker is asked for: "clock" an epoch, or "make" a task's rows, each told as it ends.

    The number is the seconds that an epoch is taken to last.
    """
    kind, task, setting, an_epoch = order
    if kind == "clock":
        tell(("clock", task.model, clock(task, setting)))
        return
    data = images(task, setting)
    per_epoch = data.n_train // min(data.n_train, 16 if setting.tiny else 512)
    for density in task.densities:
        play = play_of(task, density, setting, per_epoch)
        chosen = method(play.method)
        checkpoint: StoredTrainings | None = None
        if chosen.chain:
            belongs = {"task": task.chain, "torch": torch.__version__, "tiny": setting.tiny}
            folder = Path(setting.work) / task.chain
            checkpoint = StoredTrainings(folder, belongs, interval=20.0, device=setting.device)
        epochs = cost(task, density, setting)
        if time.time() + epochs * an_epoch > setting.deadline:
            return
        begun = time.perf_counter()
        (ticket,) = _search(play, data, checkpoint)
        trained = retrain_ticket(play, None if is_dense(play) else ticket, data=data)
        seconds = time.perf_counter() - begun
        row = result_of(play, ticket, trained, Untrained).row()
        row = {name: value for name, value in row.items() if not _empty(value)}
        tell(("row", task, density, row, seconds, seconds / epochs))


def _empty(value: Any) -> bool:
    return value in ("", (), {}, None) or (isinstance(value, float) and value != value)


def _search(play: Play, data: Dataset, checkpoint: StoredTrainings | None) -> list[Ticket]:
    return find_tickets(
        play.model,
        data,
        play.method,
        densities=[play.density],
        penalty=play.penalty,
        options=dict(play.options),
        seed=play.seed,
        training=play.search_training,
        rewind=play.rewind,
        device=play.device,
        checkpoint=checkpoint,
    )


def cost(task: Task, density: float, setting: Setting) -> float:
    """Return the epochs that a ticket still takes, search and retraining, stored trainings left out."""
    if task.method == "dense":
        return float(task.epochs)
    chosen = method(task.method)
    search = float(chosen.cost(density, task.search_epochs, chosen.settle(task.options)))
    if chosen.chain:
        found = list((Path(setting.work) / task.chain).glob("*.safetensors"))
        search -= task.search_epochs * max(0, len(found) - 1)  # the last one may not have ended
    elif task.method in LATE and task.epochs > REWIND_EPOCH:
        search += REWIND_EPOCH
    return max(search, 0.0) + task.epochs


def clock(task: Task, setting: Setting) -> float:
    """Return the seconds of an epoch: the second of two, compilation and choice of algorithms left out."""
    data = images(task, setting)
    flat = FlatModel(build(task.model, data).to(setting.device))
    training = Training(
        epochs=3, batch_size=16 if setting.tiny else 512, weight_decay=1e-3, **dict(setting.way)
    )
    loop = Loop(flat, data, training, seed=0, part=None)
    marks = []
    for epoch in (1, 3):
        loop.run(until=epoch * loop.steps_per_epoch)
        if setting.device != "cpu":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())
    return (marks[1] - marks[0]) / 2


def run(tasks: tuple[Task, ...], setting: Setting, at_once: int, path: Path) -> int:
    """Run tasks until none fits the time that is left; return the number of rows made."""
    known = {tuple(row["key"]) for row in seed_rows.stored(path)}
    left = [
        replace(t, densities=d)
        for t in tasks
        if (d := tuple(x for x in t.densities if t.key(x) not in known))
    ]
    if not left:
        print("every row is stored already", flush=True)
        return 0
    about = environment(setting.device)
    measured: dict[str, list[float]] = {}
    made = 0

    def seconds(model: str) -> float:
        if model in measured:
            return max(measured[model][-at_once:])
        base = statistics.median(measured["resnet-20"]) if "resnet-20" in measured else SECONDS["resnet-20"]
        return base * SECONDS.get(model, 3.0) / SECONDS["resnet-20"]

    def need(task: Task) -> float:
        return cost(task, task.densities[0], setting) * seconds(task.model)

    def told(message: tuple[Any, tuple[Any, ...]]) -> None:
        nonlocal made
        kind, *content = message[1]
        if kind == "clock":
            model, an_epoch = content
            measured.setdefault(model, []).append(an_epoch)
            return
        task, density, row, spent, an_epoch = content
        measured.setdefault(task.model, []).append(an_epoch)
        made += 1
        more = {"key": task.key(density), "seconds": spent, "at_once": at_once, "environment": about}
        seed_rows.append(path, {**row, **more})
        print(
            f"{task.data} {task.model} {_name(task.method, task.rounds)} {100 * density:g}% "
            f"seed {task.seed}: test {100 * row['test_accuracy']:.2f}% in {spent:.0f} s",
            flush=True,
        )

    with Processes(work_on, told, at_once) as pool:
        way, failure = _usable(pool, left[0], setting, at_once)
        if way is None:
            raise SystemExit(f"no way of training works here: {failure}")
        setting = replace(setting, way=way)
        print(
            f"{dict(way) or 'float32'}: {seconds(left[0].model):.2f} s an epoch, {at_once} at once",
            flush=True,
        )
        under_way = 0
        while True:
            while under_way < at_once:
                now = time.time()
                fitting = next((t for t in left if now + need(t) <= setting.deadline), None)
                if fitting is None:
                    break
                left.remove(fitting)
                pool.submit(("make", fitting, setting, seconds(fitting.model)))
                under_way += 1
            if not under_way:
                return made
            ended: Ended | None = pool.next(0.5)
            if ended is not None:
                under_way -= 1
                if ended.failure:
                    print(f"{ended.task[1].method} failed: {ended.failure}", flush=True)


def _usable(
    pool: Processes, task: Task, setting: Setting, at_once: int
) -> tuple[tuple[tuple[str, Any], ...] | None, str]:
    """Clock an epoch in every worker at once, in the first way that all can train in."""
    failure = ""
    for way in WAYS[-1:] if setting.device == "cpu" else WAYS:
        tried = replace(setting, way=tuple(way.items()))
        for number in range(at_once):
            pool.submit(("clock", replace(task, seed=-1 - number), tried, 0.0))
        failures, ended = [], 0
        while ended < at_once:
            result = pool.next(0.5)
            if result is not None:
                ended += 1
                failures += [result.failure] if result.failure else []
        if not failures:
            return tried.way, ""
        failure = failures[0]
        print(f"{way or 'float32'} does not work here: {failure}", flush=True)
    return None, failure


def table(path: Path = RESULTS) -> str:
    """Return the stored rows beside the published ones, as Markdown: means over the seeds, in %."""
    rows = seed_rows.stored(path)
    blocks = []
    for data, model in dict.fromkeys((row["data"], row["model"]) for row in rows):
        here = [row for row in rows if (row["data"], row["model"]) == (data, model)]
        published = PUBLISHED.get(model, {}) if data == "cifar10" else {}
        lines = [
            f"{model} on {data}:\n",
            "| method | " + " | ".join(f"{100 * d:g}%" for d in DENSITIES) + " | search epochs | seeds |",
            "| --- |" + " --- |" * (len(DENSITIES) + 2),
        ]
        dense = [100 * row["test_accuracy"] for row in here if row["method"] == "dense"]
        by_name: dict[str, list[dict[str, Any]]] = {}
        for row in here:
            by_name.setdefault(_name(row["method"], row["key"][6]), []).append(row)
        for name in dict.fromkeys([*by_name, *published]):
            mine = by_name.get(name, [])
            if name == "dense":
                continue
            if mine:
                cells = [
                    _mean([100 * r["test_accuracy"] for r in mine if abs(r["key"][4] - d) < 1e-9])
                    for d in DENSITIES
                ]
                epochs = sorted({round(row["search_epochs_spent"]) for row in mine})
                spent = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
                seeds = len({row["seed"] for row in mine})
                lines.append(f"| {name} | {' | '.join(cells)} | {spent} | {seeds} |")
            if name in published:
                cells = [
                    f"{published[name][k]:.2f}" if (k := round(100 * d, 2)) in published[name] else ""
                    for d in DENSITIES
                ]
                lines.append(f"| {name}, published | {' | '.join(cells)} | | about 3 |")
        told = _mean(dense) or "not run"
        if "dense" in published:
            told += f"; published {published['dense'][100.0]:.2f}"
        blocks.append("\n".join([*lines, "", f"Dense: {told}."]))
    return "\n\n".join(blocks) or "No row is stored yet."


def _name(method_name: str, rounds: int) -> str:
    return f"{method_name}, {rounds} rounds" if rounds > 1 else method_name


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.2f}" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="what may be spent, the start included")
    parser.add_argument("--at-once", type=int, default=0, help="processes on the card; 0: 6 (smoke: 2)")
    parser.add_argument("--data-dir", help="data folder; default: CONCAVE_SPARSITY_DATA")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu_evidence"), help="trainings of chains")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny settings, on the CPU; rows to --out only if named"
    )
    parser.add_argument("--table", action="store_true", help="print what is stored and stop")
    given = parser.parse_args()
    if given.table:
        print(table(given.out))
        return
    deadline = time.time() + 60 * given.minutes
    if given.smoke:
        tasks = (
            Task("dense", (1.0,), epochs=1),
            Task("concave", (0.107,), search_epochs=1, epochs=1),
            Task("concave", (0.107,), search_epochs=1, epochs=1, rounds=2),
            Task("imp", (0.7, 0.5), search_epochs=1, epochs=1),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = given.out if given.out != RESULTS else Path(folder) / "gpu_evidence.jsonl"
            run(tasks, Setting("cpu", deadline, folder, tiny=True), given.at_once or 2, path)
            print(table(path))
        return
    if not torch.cuda.is_available():
        raise SystemExit("gpu_evidence.py needs a CUDA device; --smoke runs its code on any machine")
    setting = Setting("cuda", deadline, str(given.work.resolve()), given.data_dir)
    made = run(TASKS, setting, given.at_once or 6, given.out)
    print(f"{made} rows made; {given.out}\n\n{table(given.out)}")


if __name__ == "__main__":
    # Worker processes import what they run by name, which "__main__" is not.
    import gpu_evidence

    gpu_evidence.main()

"""What the machinery of runs costs: runs an hour, overhead over the bare loop, 10,000 runs in a report.

    python benchmarks/run_machinery.py            # minutes; prints a table and writes figures/results/
    python benchmarks/run_machinery.py --smoke    # seconds; the same code over tiny settings

Overhead: the same plays with the machinery (folder, lock, checkpoints, records, ticket, network, result) and
without, turn by turn in one process; told are the median of the ratios and the ratio of the least times (what
else goes on only adds to a time), of the time that passed and of the time that this process computed.
Throughput: one sweep with one worker and one with two, each over an empty folder, workers' start included.
Report: 10,000 stored runs are made up (real files through the real writer) and reported, queried and read.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nets.runs.jobs import Job

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results" / "run-machinery.json"


def overhead(repeats: int, epochs: int, real: bool) -> dict[str, Any]:
    """Time plays with the machinery and without, turn by turn; the dense network is stored beforehand."""
    from nets.configuration import Play
    from nets.data import data_folder
    from nets.runs.jobs import Job

    # The longer a job takes, the fewer turns of it are needed and can be waited for.
    jobs = {
        "concave on digits, 5%": (Job(Play(epochs=epochs, method="concave"), (0.05,)), 1),
        "imp on digits, 20 and 10%": (Job(Play(epochs=epochs, method="imp"), (0.2, 0.1)), 3),
    }
    if real and (data_folder(None) / "mnist").is_dir():
        jobs["concave on MNIST, 5%"] = (Job(Play(data="mnist", method="concave"), (0.05,)), 8)
    return {name: _turns(job, max(1, repeats // fewer)) for name, (job, fewer) in jobs.items()}


def _turns(job: Job, repeats: int) -> dict[str, Any]:
    from nets.lottery import Untrained, play_densities
    from nets.runs.canonical import dense_of
    from nets.runs.execution import execute
    from nets.runs.jobs import Job, Keeping

    bare, kept = [], []
    with tempfile.TemporaryDirectory(prefix="run-machinery-") as root:
        dense = dense_of(job.play)
        execute(Job(dense, (1.0,)), Keeping(Path(root) / "dense"))
        for turn in range(repeats + 1):
            folder = Path(root) / str(turn)
            shutil.copytree(Path(root) / "dense", folder)
            bare.append(clock(play_densities, job.play, job.densities, dense=Untrained))
            kept.append(clock(execute, job, Keeping(folder)))
    told: dict[str, Any] = {"turns": repeats}
    for i, kind in enumerate(("wall", "processor")):
        # The first turn loads data and libraries.
        pairs = [(b[i], k[i]) for b, k in zip(bare[1:], kept[1:])]
        told[f"bare_{kind}_seconds"] = statistics.median(b for b, _ in pairs)
        told[f"kept_{kind}_seconds"] = statistics.median(k for _, k in pairs)
        told[f"{kind}_overhead"] = statistics.median(k / b for b, k in pairs) - 1
        told[f"{kind}_overhead_of_least"] = min(k for _, k in pairs) / min(b for b, _ in pairs) - 1
    return told


def throughput(seeds: int, epochs: int, workers: tuple[int, ...]) -> dict[str, Any]:
    """Time one sweep (concave and random at three densities, the dense network) with some workers."""
    from nets.runs.jobs import Keeping
    from nets.runs.sweep import make_plan, plays_of, run_plan

    plays = plays_of(
        {
            "epochs": epochs,
            "method": ["concave", "random"],
            "density": [0.2, 0.1, 0.05],
            "seed": list(range(seeds)),
        }
    )
    told = {}
    for count in workers:
        root = Path(tempfile.mkdtemp(prefix="run-machinery-"))
        plan = make_plan(plays, root)
        seconds, _ = clock(run_plan, plan, Keeping(root), workers=count)
        assert make_plan(plays, root).to_do == 0
        shutil.rmtree(root)
        told[f"{count} worker" + "s" * (count > 1)] = {
            "runs": len(plan.runs),
            "seconds": seconds,
            "runs_an_hour": 3600 * len(plan.runs) / seconds,
        }
    return told


def stored_runs(count: int) -> dict[str, Any]:
    """Time report, query and data frame over made-up runs; each in this process, imports done."""
    from nets.configuration import Play
    from nets.report import write_report
    from nets.runs.canonical import address
    from nets.runs.execution import execute
    from nets.runs.folder import RunFolder
    from nets.runs.jobs import Job, Keeping
    from nets.runs.results import query, results
    from nets.storage import atomic

    root = Path(tempfile.mkdtemp(prefix="run-machinery-"))
    example = Play(epochs=1, method="concave", density=0.1)
    (outcome,) = execute(Job(example, (0.1,)), Keeping(root))
    assert outcome.row is not None
    template = {key: value for key, value in outcome.row.items() if key != "run"}
    source = root / outcome.address
    wait, atomic.os.fsync = atomic.os.fsync, lambda handle: None  # only the reading is timed
    try:
        grid = itertools.product(
            range(count), ("concave", "imp", "l1", "random"), (0.2, 0.1, 0.05, 0.02, 0.01)
        )
        for seed, method, density in itertools.islice(grid, count - 2):
            play = replace(example, method=method, density=density, seed=seed + 1)
            folder = RunFolder(root / address(play))
            folder.open(play)
            for name in ("environment.json", "details.json", "metrics.jsonl", "masks.jsonl"):
                shutil.copy(source / name, folder.path)
            row = {
                **template,
                "method": method,
                "density": density,
                "asked_density": density,
                "seed": seed + 1,
            }
            row["test_accuracy"] = 0.9 + 0.05 * ((seed * 7919 + int(1000 * density)) % 97) / 97
            folder.write_result(row)
    finally:
        atomic.os.fsync = wait
    sql = "select method, density, avg(test_accuracy) from results group by all"
    told = {
        "runs": count,
        "report_seconds": clock(write_report, root, root / "report.html")[0],
        "query_seconds": clock(query, sql, root)[0],
        "data_frame_seconds": clock(results, root)[0],
        "page_megabytes": (root / "report.html").stat().st_size / 1e6,
    }
    assert len(results(root)) == count
    shutil.rmtree(root)
    return told


def clock(act: Callable[..., Any], *arguments: Any, **settings: Any) -> tuple[float, float]:
    """Return the seconds that passed, and the seconds that this process computed."""
    began, computed = time.perf_counter(), time.process_time()
    act(*arguments, **settings)
    return time.perf_counter() - began, time.process_time() - computed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny settings, nothing written but to --out")
    parser.add_argument(
        "--out", type=Path, help="where to write; default: figures/results/run-machinery.json"
    )
    parser.add_argument("--parts", nargs="+", default=["overhead", "throughput", "stored"])
    arguments = parser.parse_args()
    import torch

    from nets.runs.environment import environment

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "overhead": lambda: overhead(*((1, 1, False) if arguments.smoke else (24, 20, True))),
        "throughput": lambda: throughput(*((1, 1, (1,)) if arguments.smoke else (4, 20, (1, 2)))),
        "stored": lambda: stored_runs(30 if arguments.smoke else 10_000),
    }
    out = arguments.out or (None if arguments.smoke else RESULTS)
    told = json.loads(out.read_text()) if out and out.exists() else {}
    told["environment"] = environment("cpu")
    for name in arguments.parts:
        told[name] = parts[name]()
        print(name, json.dumps(told[name], indent=1))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

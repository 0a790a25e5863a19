"""Whether our own loop became slower: searches of this tree and of another one, turn by turn, as ratios.

    git worktree add ../before c88fc0c^                    # the commit before masks acted in any loop
    python benchmarks/loop_before.py ../before             # two minutes
    python benchmarks/loop_before.py ../before --smoke     # seconds; one short turn

Two processes, one a tree, take turns with the same search through `nets.find_ticket`: LeNet-300-100 on noise,
batch 128, the plain training ("magnitude") and the concave one. Told are the median of the ratios of this
tree's times to the other's, with their quartiles, and whether both found the same ticket.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

METHODS = ("concave",)

WORKER = """
import hashlib, sys, time, warnings
import torch
from torch import nn
import nets
warnings.simplefilter("ignore")
threads, samples, epochs = map(int, sys.argv[1:])
torch.set_num_threads(threads)
generator = torch.Generator().manual_seed(0)
x, y = torch.randn(samples, 784, generator=generator), torch.arange(samples) % 10
for method in map(str.strip, sys.stdin):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    training = nets.Training(epochs=epochs, batch_size=128)
    began = time.perf_counter(), time.process_time()
    ticket = nets.find_ticket(model, (x, y), method, density=0.05, training=training)
    passed = time.perf_counter() - began[0], time.process_time() - began[1]
    digest = hashlib.sha256()
    for name in sorted(ticket.masks):
        digest.update(ticket.masks[name].numpy().tobytes())
    print(*passed, digest.hexdigest()[:16], flush=True)
"""


def worker(tree: Path, *settings: int) -> subprocess.Popen[str]:
    """Return a process that searches with the code of a tree whenever a method is written to it."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, settings)],
        cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def search(process: subprocess.Popen[str], method: str) -> tuple[float, float, str]:
    """Return the seconds that passed, those of the processor, and a digest of the masks found."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{method}\n")
    process.stdin.flush()
    answer = process.stdout.readline().split()
    if len(answer) != 3:
        raise SystemExit(f"the search with the code in {process.args[0]!r} failed")  # type: ignore[index]
    return float(answer[0]), float(answer[1]), answer[2]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=Path, help="the other tree")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--processor", action="store_true", help="processor time, for a machine in use")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args(arguments)
    samples, epochs, turns = (640, 1, 1) if given.smoke else (12800, 12, given.turns)
    clock = 1 if given.processor else 0
    for threads in given.threads:
        trees = [Path(__file__).resolve().parents[1], given.other.resolve()]
        processes = [worker(tree, threads, samples, epochs) for tree in trees]
        try:
            for method in METHODS:
                found = [search(process, method) for process in processes]  # the warm-up
                ratios = []
                for turn in range(turns):
                    order = (0, 1) if turn % 2 else (1, 0)
                    took = {i: search(processes[i], method)[clock] for i in order}
                    ratios.append(took[0] / took[1])
                quartiles = statistics.quantiles(ratios, n=4)[::2] if len(ratios) > 1 else ratios * 2
                same = "the same ticket" if found[0][2] == found[1][2] else "another ticket"
                print(
                    f"{method}, threads {threads}: {statistics.median(ratios):.3f} of the other's time "
                    f"({quartiles[0]:.3f} to {quartiles[1]:.3f}), {same}",
                    flush=True,
                )
        finally:
            for process in processes:
                process.kill()


if __name__ == "__main__":
    main()

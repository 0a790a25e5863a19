"""Accuracy of retrained tickets against what their search costs: every method at several budgets.

python -m figures.front run [--minutes M]   make the runs that are missing, by priority; stops between runs
python -m figures.front table               print the tables of the documentation from the stored results

LeNet-300-100 on MNIST, usual training; every ticket, whatever its search, is retrained for five epochs from
the same initial weights. A setting (a method, its options, the epochs of one training of its search) is
chosen by its mean accuracy on held-out validation data among those that a budget pays for; what is shown is
its accuracy on the test data. Every finished run is stored at once: the command may be stopped and started
again at any moment.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nets import Play

#: Finished runs are kept here.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "front"

DENSITIES = (0.05, 0.02, 0.01, 0.005)


@dataclass(frozen=True)
class Setting:
    """A method with its options, and the epochs of each training of its search."""

    method: str
    epochs: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)

    def play(self, density: float, seed: int) -> Play:
        """Return the play of a ticket."""
        from nets import Play

        return Play(
            data="mnist",
            model="lenet-300-100",
            method=self.method,
            search_epochs=self.epochs,
            options=dict(self.options),
            density=density,
            seed=seed,
        )


def _imp(epochs: int, keep: float) -> Setting:
    return Setting("imp", epochs, {"keep": keep})


#: What is run, in this order: (settings, seeds). The methods that the claim is about come first; one training
#: of five epochs, and IMP by five epochs a round, are read from `mnist_all_methods`: its plays are the same.
PLAN: tuple[tuple[tuple[Setting, ...], tuple[int, ...]], ...] = (
    ((Setting("concave", 20), _imp(5, 0.55), Setting("gmp", 20), _imp(1, 0.55)), (0, 1, 2)),
    ((Setting("concave", 2), Setting("gmp", 2), _imp(2, 0.55)), (0, 1, 2)),
    ((Setting("l1", 20), Setting("concave", 10), Setting("gmp", 10)), (0, 1, 2)),
    (
        (
            Setting("concave", 5),
            Setting("gmp", 5),
            _imp(5, 0.55),
            Setting("concave", 20),
            Setting("gmp", 20),
            Setting("l1", 5),
            _imp(5, 0.8),
        ),
        (3, 4),
    ),
    ((Setting("concave", 40), Setting("concave", 5, {"rounds": 2}), _imp(2, 0.8)), (0, 1, 2)),
    (
        (Setting("magnitude", 20), Setting("rigl", 20), Setting("continuous-sparsification", 20)),
        (0, 1, 2),
    ),
)


def planned() -> Iterator[tuple[Setting, int]]:
    """Yield what is to be run, in the order of its priority."""
    for settings, seeds in PLAN:
        for seed in seeds:
            for setting in settings:
                yield setting, seed


def make(minutes: float = math.inf) -> bool:
    """Make the runs that are missing, and tell whether none is left; a finished run is only read."""
    from nets.jobs import Job
    from nets.runs.execution import execute
    from nets.runs.keeping import Keeping

    begun, keeping = time.monotonic(), Keeping(RUNS, keep_network=False)
    for setting, seed in planned():
        densities = (1.0,) if setting.method == "dense" else DENSITIES
        job = Job(setting.play(densities[0], seed), densities)
        if keeping.finished(job):
            continue
        if time.monotonic() - begun > 60 * minutes:
            return False
        start = time.monotonic()
        failures = [outcome.failure for outcome in execute(job, keeping) if outcome.failure]
        seconds = time.monotonic() - start
        print(f"{setting}, seed {seed}: {failures or f'{seconds:.0f} s'}", flush=True)
    return True


if __name__ == "__main__":
    make()

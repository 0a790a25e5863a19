"""Compare methods under one protocol: the same data, network, training and seeds for all."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets import registry
from nets.analysis.matching import exceeds, judge, largest_matching_sparsity
from nets.configuration import CONTROLS, Play, check, check_several
from nets.metric import ACCURACY, Metric
from nets.result import Result, Series
from nets.runs.jobs import Job, Keeping, jobs
from nets.storage.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nets.executors import Ended
    from nets.methods import Method
    from nets.runs.driver import Progress, Report

METHODS = ("dense", "concave", "l1", "imp", "random")
DENSITIES = (0.2, 0.1, 0.05, 0.02, 0.01)
SEEDS = 5


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Parameters
    ----------
    results : tuple of Result
        One for every method, density and seed; for "dense" one a seed.
    """

    results: tuple[Result, ...]

    @property
    def metric(self) -> Metric:
        """What the scores are: one metric, that of the task."""
        return self.results[0].metric if self.results else ACCURACY

    def table(self) -> list[dict[str, Any]]:
        """Return one row for every method, penalty, options, granularity, control and density.

        Each holds these, seeds, accuracy (or what the task's metric is called: its mean over the seeds,
        test), interval (half width of its 95% confidence interval by Student's t; NaN for one seed), to_dense
        (the difference to the dense network, paired by seed, with its interval, as text), verdict ("winning",
        "matching", "worse" or "undecided", see `nets.analysis.matching`; "" for the dense network and the
        controls), verdict_text (with the seeds that would decide an open one), validation_accuracy (mean),
        search epochs, search and inference FLOPs, and seconds (means; seconds count the search and the
        retraining).
        """
        groups, name = self._groups(), self.metric.name
        rows = []
        for (series, control, density), group in groups.items():
            score, interval = mean_interval([r.test_score for r in group])
            verdict = verdict_text = to_dense = ""
            dense = _dense_by_seed(group)
            if series.method != "dense" and dense:
                again = groups.get((series, "reinitialise", density))
                reinitialised = None if again is None else _by_seed(again)
                judged = judge(_by_seed(group), dense, reinitialised, metric=self.metric)
                to_dense = judged.matching.difference_text
                if not control:
                    verdict, verdict_text = judged.word, judged.text
            rows.append(
                {
                    "method": series.method,
                    "penalty": series.penalty,
                    "options": dict(series.options),
                    "granularity": series.granularity,
                    "control": control,
                    "density": density,
                    "seeds": len(group),
                    name: score,
                    "interval": interval,
                    "to_dense": to_dense,
                    "verdict": verdict,
                    "verdict_text": verdict_text,
                    self.metric.column("validation"): _mean([r.validation_score for r in group]),
                    "search_epochs": _mean([r.search_epochs for r in group]),
                    "search_flops": _mean([r.search_flops for r in group]),
                    "inference_flops": _mean([r.inference_flops for r in group]),
                    "seconds": _mean([r.search_seconds + r.retrain_seconds for r in group]),
                }
            )
        return rows

    def largest_matching_sparsities(self) -> dict[str, float | None]:
        """Return for every method, by its label, the largest sparsity down to which its tickets match.

        None where the densest does not (see `nets.analysis.matching.largest_matching_sparsity`).
        """
        tickets: dict[Series, dict[float, list[Result]]] = {}
        for (series, control, density), group in self._groups().items():
            if series.method != "dense" and not control:
                tickets.setdefault(series, {})[density] = group
        found = {}
        for series, by_density in tickets.items():
            if dense := _dense_by_seed([result for group in by_density.values() for result in group]):
                scores = {density: _by_seed(group) for density, group in by_density.items()}
                found[series.label] = largest_matching_sparsity(scores, dense, metric=self.metric)
        return found

    def against(self, method: str) -> list[dict[str, Any]]:
        """Return how far every other method is ahead of one at the same density, paired by seed.

        Parameters
        ----------
        method : str
            The one to compare with, e.g. "l1"; where several series are of one method, the label of a row
            of the table, e.g. "concave log(0.02)".

        Returns
        -------
        list of dict
            method (label), density, seeds, difference (mean gain, in the metric's unit, for shares in
            [-1, 1]; positive is better), interval (half width of its 95% confidence interval by Student's t;
            NaN for one seed), text (both as numbers of the unit), shown ("ahead" or "behind" where the
            interval leaves out zero, else "").

        Raises
        ------
        ValueError
            If no method is called so, or several series are.
        """
        tickets = {
            (series, density): _by_seed(group)
            for (series, control, density), group in self._groups().items()
            if series.method != "dense" and not control
        }
        there = dict.fromkeys(series for series, _ in tickets)
        chosen = [series for series in there if method == series.label]
        chosen = chosen or [series for series in there if method == series.method]
        if len(chosen) != 1:
            labels = ", ".join(series.label for series in there)
            raise ValueError(f"against must name one of the methods compared ({labels}), got {method!r}")
        rows = []
        for (series, density), scores in tickets.items():
            reference = tickets.get((chosen[0], density))
            if series == chosen[0] or reference is None:
                continue
            found = exceeds(scores, reference, metric=self.metric)
            half = found.half_width
            shown = "ahead" if found.difference > half else "behind" if found.difference < -half else ""
            rows.append(
                {
                    "method": series.label,
                    "density": density,
                    "seeds": found.seeds,
                    "difference": found.difference,
                    "interval": half,
                    "text": found.difference_text,
                    "shown": shown,
                }
            )
        return rows

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the metric against density, one line a method with 95% intervals, the dense network as a band.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: new ones.

        Returns
        -------
        Axes
        """
        from nets.analysis.pictures import plot

        play, rows = self.results[0].play, self.table()
        seeds = max(row["seeds"] for row in rows)
        title = f"{play.model} on {play.data}: mean of {seeds} seed{'s' * (seeds > 1)}"
        return plot(rows, self.metric, title + (", 95% intervals" if seeds > 1 else ""), ax)

    def draw(self, path: str | os.PathLike[str]) -> Path:
        """Draw it (see `plot`) as a picture file, without a display, and return where."""
        from nets.analysis.pictures import draw

        return draw(self.plot, Path(path))

    def _groups(self) -> dict[tuple[Series, str, float], list[Result]]:
        """Return the results of all seeds by series, control and density asked for."""
        groups: dict[tuple[Series, str, float], list[Result]] = {}
        for result in self.results:
            key = (Series.of(result.play), result.play.control, result.asked_density)
            groups.setdefault(key, []).append(result)
        return groups

    def save(self, path: str | os.PathLike[str], command: str = "") -> Path:
        """Write rows, results, versions and the command as JSON, atomically."""
        path = Path(path)
        content = {
            "command": command,
            "versions": versions(),
            "table": self.table(),
            "largest_matching_sparsities": self.largest_matching_sparsities(),
            "results": [result.row() for result in self.results],
        }
        text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
        write_bytes(path, text.encode())
        return path


def compare(
    play: Play | None = None,
    *,
    methods: Sequence[str | Method] = METHODS,
    densities: Sequence[float] = DENSITIES,
    seeds: int | Sequence[int] = SEEDS,
    controls: Sequence[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    folder: str | os.PathLike[str] | None = None,
    **changes: Any,
) -> Comparison:
    """Compare methods: every method at every density with every seed, and the dense network once a seed.

    Parameters
    ----------
    play : Play, optional
        What all have in common; default ``Play()``: LeNet-300-100 on digits.
    methods : sequence of str or Method
        Names of methods, "package.module:METHOD", or methods.
    densities : sequence of float
        Densities of the tickets.
    seeds : int or sequence of int
        Seeds, or their number.
    controls : sequence of str
        Sanity checks that every ticket is put to besides (see `nets.analysis.controls`), from the same
        search; ("all",): all of them.
    options : mapping of str to mapping, optional
        Options by method, e.g. ``{"imp": {"keep": 0.5}}``.
    workers : int, optional
        Worker processes of one thread each; default: one a core. The results do not depend on it.
    on_progress : callable, optional
        Called with a `nets.runs.driver.Progress` after every epoch, and whenever a job has ended.
    folder : path, optional
        Store every run there as it ends (see `nets.run`); what is finished there is not run again.
    **changes
        Fields of the play, e.g. ``data="mnist"``.

    Returns
    -------
    Comparison
        Results in the order seed, method, density, control.
    """
    from nets.methods import method_text
    from nets.runs.driver import Progress, run_jobs

    for several, name in ((methods, "methods"), (densities, "densities"), (controls, "controls")):
        check_several(several, name)
    play = Play(**changes) if play is None else replace(play, **changes)
    chosen_seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    check(len(chosen_seeds) > 0, "seeds", seeds, "at least 1")
    names = tuple(method_text(name) for name in methods)
    own = {method_text(name): dict(given) for name, given in (options or {}).items()}
    for name in own:
        if name not in names:
            raise ValueError(
                f"there are options of method {name}, which is not compared; compared are {', '.join(names)}"
            )
    local = any(map(registry.methods.is_local, names)) or registry.granularities.is_local(play.granularity)
    if local and workers != 1:
        workers = 1  # what no module holds is not known in other processes
    whole = replace(play, method="dense", density=1.0, granularity="weight")
    dense = [replace(whole, seed=seed) for seed in chosen_seeds]
    planned = plan([replace(play, seed=seed) for seed in chosen_seeds], names, densities, controls, own)
    keeping = None if folder is None else Keeping(Path(folder), keep_network=False)
    # the dense trainings first, which the others are compared with, then the largest
    first = [Job(one, (one.density,)) for one in dense]
    every = [*first, *sorted(planned, key=lambda job: -job.epochs)]
    progress = Progress(every)
    results: dict[Job, list[Result]] = {}

    def show() -> None:
        if on_progress is not None:
            on_progress(progress)

    def report(report: Report) -> None:
        progress.report(report)
        show()

    def end(ended: Ended) -> None:
        job: Job = ended.task.job
        results[job] = _results(ended, keeping)
        progress.ended(job)
        show()

    run_jobs(every, keeping, workers=workers, on_report=report, on_end=end)
    by_seed = {result.play.seed: result for job in first for result in results[job]}
    done = list(by_seed.values())
    for result in (result for job in every[len(first) :] for result in results[job]):
        beside = by_seed[result.play.seed]
        done.append(
            replace(
                result,
                dense_test_score=beside.test_score,
                dense_validation_score=beside.validation_score,
            )
        )
    order = {name: i for i, name in enumerate(dict.fromkeys(("dense", *names)))}
    if "dense" not in names:
        done = [result for result in done if result.play.method != "dense"]
    done.sort(key=lambda r: (r.play.seed, order[r.play.method], -r.play.density, r.play.control))
    return Comparison(tuple(done))


def _results(ended: Ended, keeping: Keeping | None) -> list[Result]:
    """Return the results of a job, or raise what made it fail."""
    if ended.error is not None:
        raise ended.error
    if ended.failure:
        raise RuntimeError(ended.failure)
    if keeping is None:
        results: list[Result] = ended.value
        return results
    from nets.runs.results import result_of

    for outcome in ended.value:
        if outcome.failure:
            raise RuntimeError(f"{outcome.play.method}, seed {outcome.play.seed}: {outcome.failure}")
    return [result_of(keeping.folder(outcome.play)) for outcome in ended.value]


def plan(
    plays: Sequence[Play],
    methods: Sequence[str],
    densities: Sequence[float],
    controls: Sequence[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Job]:
    """Return the jobs of a comparison; densities that share a chain of trainings stay in one job."""
    from nets.methods import method

    settled = {}
    for name, given in (options or {}).items():
        every = method(name).settle(given)
        settled[name] = tuple((option, every[option]) for option in sorted(given))
    asked = CONTROLS if tuple(controls) == ("all",) else dict.fromkeys(controls)
    return jobs(
        replace(
            play,
            method=name,
            density=density,
            control=control,
            options=settled.get(name, play.options),
        )
        for play in plays
        for name in methods
        if name != "dense"
        for density in densities
        for control in ("", *asked)
    )


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the mean and the half width of its confidence interval by Student's t (NaN for one value)."""
    n = len(values)
    mean = _mean(values)
    if n < 2:
        return mean, math.nan
    from scipy.special import stdtrit

    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, float(stdtrit(n - 1, 0.5 + level / 2)) * deviation / math.sqrt(n)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    from importlib.metadata import version

    names = ("concave-sparsity", "torch", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def _by_seed(results: Sequence[Result]) -> dict[int, float]:
    return {result.play.seed: result.test_score for result in results}


def _dense_by_seed(results: Sequence[Result]) -> dict[int, float]:
    """Return the scores of the dense networks, of those that were trained."""
    known = [result for result in results if math.isfinite(result.dense_test_score)]
    return {result.play.seed: result.dense_test_score for result in known}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _finite(value: Any) -> Any:
    """Return the value with NaN as None, which JSON can hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value

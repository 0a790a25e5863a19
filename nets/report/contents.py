"""Gather what the page tells from the files of the runs."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nets import registry
from nets.configuration import Play
from nets.metric import ACCURACY, Metric
from nets.result import Series, is_number
from nets.runs.folder import MASKS, BadRun, RunFolder, run_folders
from nets.runs.results import BadRunWarning
from nets.storage import records

#: Fields that tell one point of a panel from another; all others that vary tell panels apart.
WITHIN = ("method", "penalty", "options", "asked_density", "seed", "control")

#: Settings that tell panels apart where they vary.
SETTINGS = tuple(
    sorted(f.name for f in fields(Play) if f.compare and f.name not in (*WITHIN, "density", "data", "model"))
)

#: What they were before they were settings.
DEFAULTS = {f.name: f.default for f in fields(Play)}

#: Settings of the search for a mask, which the dense network does not have.
OF_MASKS = ("rewind", "include", "exclude", "search_epochs", "granularity")

#: Bins of a histogram that are drawn, at most.
MOST_BINS = 1000

#: Runs whose curves and histograms are drawn, at most, in a panel.
DRAWN = 6

#: Histograms of one run that are drawn, at most; of more every second, third, ... is.
EPOCHS = 80

#: Values of a curve beyond this are none that a search reaches.
MOST = 1e30


@dataclass
class Line:
    """One method with one penalty and one set of options: rows by density.

    Parameters
    ----------
    label : str
        What it is called.
    rows : dict of float to list of row
        Rows of the tickets themselves, by the density asked for.
    controls : dict of (float, str) to list of row
        Rows of the sanity checks, by density and control.
    """

    label: str
    rows: dict[float, list[dict[str, Any]]] = field(default_factory=dict)
    controls: dict[tuple[float, str], list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def densities(self) -> list[float]:
        """Densities, largest first."""
        return sorted(self.rows, reverse=True)

    def scores(self, density: float) -> dict[int, float]:
        """Return the test metric by seed."""
        return by_seed(self.rows.get(density, []))

    def drawn(self) -> dict[str, Any]:
        """Return the run that stands for the series: the middle density, the smallest seed."""
        density = self.densities[len(self.densities) // 2]
        return min(self.rows[density], key=lambda row: int(row["seed"]))


@dataclass
class Panel:
    """Runs that may be compared: the same data, network and training.

    Parameters
    ----------
    title : str
        Data, network, and the settings that differ from panel to panel.
    series : list of Line
        What was tried, without the dense network.
    dense : dict of int to float
        Test metric of the dense network by seed.
    metric : Metric
        What it is.
    """

    title: str
    series: list[Line] = field(default_factory=list)
    dense: dict[int, float] = field(default_factory=dict)
    metric: Metric = ACCURACY


@dataclass
class Curves:
    """What is drawn of one run.

    Parameters
    ----------
    trace : mapping of str to list of float
        Curves of the search.
    masks : list of (epoch, counts)
        Histograms of the relaxed mask.
    """

    trace: Mapping[str, Sequence[float]]
    masks: list[tuple[float, list[int]]]


@dataclass
class Gathered:
    """All that the page tells.

    Parameters
    ----------
    rows : list of row
        One a finished run.
    panels : list of Panel
        See `Panel`.
    curves : dict of str to Curves
        By address, of the runs that stand for their series.
    states : Counter
        How many runs are in each state.
    failures : list of (address, message)
        Runs that failed when they were last tried.
    damaged : list of str
        What was left out and why.
    sessions : Counter
        How many of the drawn runs were computed where (device, versions).
    """

    rows: list[dict[str, Any]]
    panels: list[Panel]
    curves: dict[str, Curves]
    states: Counter[str]
    failures: list[tuple[str, str]]
    damaged: list[str]
    sessions: Counter[str]


def gather(root: Path) -> Gathered:
    """Read the runs of a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    states: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    failures: list[tuple[str, str]] = []
    damaged: list[str] = []
    for folder in run_folders(root):
        try:
            if folder.finished:
                found.append(folder.result())
                states["finished"] += 1
            else:
                state = folder.state
                states[state] += 1
                if state == "failed":
                    failures.append((folder.address, str(folder.read("failure.json").get("message"))))
        except BadRun as error:
            states["damaged"] += 1
            damaged.append(str(error))
            warnings.warn(f"left out: {error}", BadRunWarning, stacklevel=2)
    panels = _panels(found)
    drawn = [s.drawn() for panel in panels for s in panel.series[: DRAWN * 2] if s.rows]
    addresses = [row["run"] for row in drawn]
    return Gathered(
        found,
        panels,
        {address: _curves(RunFolder(root / address)) for address in addresses},
        states,
        failures,
        damaged,
        _sessions(RunFolder(root / row["run"]) for row in [*drawn, *found[:20]]),
    )


def by_seed(rows: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Return the test metric by seed."""
    return {int(row["seed"]): test_score(row) for row in rows}


def test_score(row: Mapping[str, Any]) -> float:
    """Return the test metric of a row."""
    return float(row[Metric.of_row(row).column("test")])


def _panels(rows: Sequence[dict[str, Any]]) -> list[Panel]:
    """Sort rows into panels and series."""
    varying = [name for name in SETTINGS if len({repr(_setting(row, name)) for row in rows}) > 1]
    # The dense network has no rewinding, masks or search: it belongs to all panels alike but for them.
    of_dense = [name for name in varying if name not in OF_MASKS]
    penalised = with_penalty(rows)
    panels: dict[tuple[str, ...], Panel] = {}
    series: dict[tuple[tuple[str, ...], str], Line] = {}
    for row in rows:
        if row["method"] == "dense":
            continue
        metric = Metric.of_row(row)
        key = (row["data"], row["model"], *(repr(_setting(row, name)) for name in varying), repr(metric))
        varied = [f"{name} {_short(_setting(row, name))}" for name in varying]
        title = ", ".join([f"{row['model']} on {row['data']}", *varied])
        panel = panels.setdefault(key, Panel(title, metric=metric))
        label = _label(row, row["method"] in penalised)
        if (key, label) not in series:
            series[key, label] = Line(label)
            panel.series.append(series[key, label])
        density, control = float(row["asked_density"]), str(row.get("control") or "")
        if control:
            series[key, label].controls.setdefault((density, control), []).append(row)
        else:
            series[key, label].rows.setdefault(density, []).append(row)
    for row in rows:
        if row["method"] == "dense":
            for key, panel in panels.items():
                alike = all(
                    value == repr(_setting(row, name))
                    for name, value in zip(varying, key[2:])
                    if name in of_dense
                )
                same = key[:2] == (row["data"], row["model"]) and panel.metric == Metric.of_row(row)
                if same and alike:
                    panel.dense[int(row["seed"])] = test_score(row)
    for panel in panels.values():
        panel.series = sorted((s for s in panel.series if s.rows), key=lambda s: s.label)
    return [panels[key] for key in sorted(panels) if panels[key].series]


def _setting(row: Mapping[str, Any], name: str) -> Any:
    """Return a setting of a run; one stored before the setting was there had the default."""
    return row.get(name, DEFAULTS[name])


def with_penalty(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the methods with a penalty to tell: those that need one, or whose rows differ in it."""
    penalties: dict[str, set[str]] = {}
    for row in rows:
        penalties.setdefault(row["method"], set()).add(row["penalty"])
    return {name for name, found in penalties.items() if len(found) > 1 or "penalty" in registry.needs(name)}


def _label(row: Mapping[str, Any], penalised: bool) -> str:
    given = row.get("options")
    options = tuple(sorted(given.items())) if isinstance(given, Mapping) else ()
    penalty = str(row["penalty"]) if penalised else ""
    return Series(str(row["method"]), penalty, options, "weight").label  # the panel tells the granularity


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _curves(folder: RunFolder) -> Curves:
    try:
        trace = folder.read("details.json").get("trace", {})
    except BadRun:
        trace = {}
    sound = {
        str(name): [float(v) for v in values]
        for name, values in (trace.items() if isinstance(trace, dict) else ())
        if isinstance(values, list) and all(is_number(v) and abs(v) < MOST for v in values)
    }
    masks = [
        (float(line["epoch"]), [int(count) for count in line["counts"]])
        for line in records.read(folder.path / MASKS)
        if is_number(line.get("epoch")) and _is_histogram(line.get("counts"))
    ]
    return Curves(sound, masks[:: max(1, math.ceil(len(masks) / EPOCHS))])


def _is_histogram(counts: Any) -> bool:
    """Tell whether these are the counts of a histogram as the recorder writes it."""
    return (
        isinstance(counts, list)
        and 1 < len(counts) <= MOST_BINS
        and all(isinstance(count, int) and is_number(count) and count >= 0 for count in counts)
    )


def _sessions(folders: Iterable[RunFolder]) -> Counter[str]:
    counts: Counter[str] = Counter()
    seen = set()
    for folder in folders:
        if folder.address in seen:
            continue
        seen.add(folder.address)
        try:
            sessions = folder.read("environment.json")["sessions"]
            last = sessions[-1]
            versions = last["versions"]
            device = last.get("device_name") or last.get("processor") or last.get("device")
            counts[
                f"{device}, torch {versions['torch']}, concave-sparsity {versions['concave-sparsity']}"
            ] += 1
        except (BadRun, KeyError, IndexError, TypeError):
            continue
    return counts

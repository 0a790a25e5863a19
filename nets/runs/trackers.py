"""Who is told how a training goes: files, a line an epoch; TensorBoard; a hook of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from nets.configuration import Play
from nets.masking.curves import histogram
from nets.runs.folder import MASKS, METRICS
from nets.storage import records
from nets.training.loop import Hook, Loop


class Recorder(Hook):
    """Appends to metrics.jsonl and masks.jsonl after every epoch.

    The files hold at every moment what the trainings of this session have told, in their order: what a
    stored training told is written again from its state when it resumes, so nothing depends on what an
    interrupted session, or somebody else, left in the files.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    before : mapping of str to bytes
        What comes first in each file.

    Attributes
    ----------
    reported : dict of str to bytes
        What each file holds.
    histograms : list of mapping
        Lines that the training under way has told of its mask: to be stored with its state.
    """

    watches_only: ClassVar[bool] = True

    def __init__(self, folder: Path, before: Mapping[str, bytes] | None = None) -> None:
        self.folder = folder
        self.reported = {name: (before or {}).get(name, b"") for name in (METRICS, MASKS)}
        self.histograms: list[dict[str, Any]] = []
        self._resumed: dict[str, list[dict[str, Any]]] = {}

    def resume(self, name: str, histograms: list[dict[str, Any]]) -> None:
        """Take the lines back that a stored training had told of its mask."""
        self._resumed[name] = histograms

    def start(self, loop: Loop) -> None:
        """Make the files say what was told before, and what this training had told when it was stored."""
        self.histograms = self._resumed.pop(loop.name, [])
        self._add(METRICS, (_line(loop.name, metrics) for metrics in loop.metrics))
        self._add(MASKS, self.histograms)

    def _add(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        self.reported[name] += records.text(lines)
        records.replace(self.folder / name, self.reported[name])

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Append the epoch's lines."""
        self._append(METRICS, _line(loop.name, metrics))
        mask = relaxed_mask(loop)
        if mask is not None:
            line = {"training": loop.name, "epoch": metrics["epoch"], "counts": histogram(mask)}
            self._append(MASKS, line)
            self.histograms.append(line)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        records.append(self.folder / name, line)
        self.reported[name] += records.text([line])


def _line(name: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    finite = {key: value for key, value in metrics.items() if value == value and abs(value) < float("inf")}
    return {"training": name, **finite}


def relaxed_mask(loop: Loop) -> Tensor | None:
    """Return the relaxed mask that a hook of the training has as its `mask`, held or computed, or None."""
    for hook in loop.hooks:
        mask = getattr(hook, "mask", None)
        if callable(mask):
            mask = mask(loop)
        if isinstance(mask, Tensor) and mask.is_floating_point() and mask.shape == loop.flat.weights.shape:
            return mask
    return None


class TensorBoard(Hook):
    """Writes metrics after every epoch, and the curves of the search, as TensorBoard event files.

    Parameters
    ----------
    folder : path
        Folder of the event files; `tensorboard --logdir` shows them.

    Raises
    ------
    ModuleNotFoundError
        If TensorBoard is not installed.
    """

    watches_only: ClassVar[bool] = True

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._writer: Any = _writer(self.folder)
        self._told: dict[str, int] = {}

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an epoch, and what the curves of the hooks have gained."""
        step = int(metrics["epoch"])
        for name, value in metrics.items():
            if name != "epoch":
                self._writer.add_scalar(f"{loop.name}/{name}", value, step)
        for hook in loop.hooks:
            trace = getattr(hook, "trace", None)
            if isinstance(trace, Mapping) and "step" in trace:
                self._tell_curves(loop.name, trace)
        self._writer.flush()

    def _tell_curves(self, name: str, trace: Mapping[str, Any]) -> None:
        steps = trace["step"]
        for curve, values in trace.items():
            if curve == "step":
                continue
            tag = f"{name}/{curve}"
            for i in range(self._told.get(tag, 0), len(values)):
                self._writer.add_scalar(tag, values[i], int(steps[i]))
            self._told[tag] = len(values)


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ModuleNotFoundError(
            "TensorBoard is not installed: pip install 'concave-sparsity[tracking]', "
            "or leave --tensorboard out"
        ) from None
    return SummaryWriter(str(folder))


def trackers(play: Play, folder: Path, *, tensorboard: bool = False, tracker: str = "") -> list[Hook]:
    """Return the hooks of the trackers asked for.

    Parameters
    ----------
    play : Play
        What is about to be trained.
    folder : Path
        Folder of the event files.
    tensorboard : bool
        Write TensorBoard event files.
    tracker : str
        "package.module:factory" of a tracker of the user's own: called as ``factory(play)``, it returns a
        `Hook`, whose `record(loop, metrics)` sees every epoch of every training.

    Raises
    ------
    ValueError
        If the factory cannot be found or returns something else.
    """
    hooks: list[Hook] = []
    if tensorboard:
        hooks.append(TensorBoard(folder))
    if tracker:
        from concave_sparsity.registry import import_object

        own = import_object(tracker)(play)
        if not isinstance(own, Hook):
            raise ValueError(f"{tracker!r} must return a nets.Hook, got {type(own).__name__}")
        # Whether a tracker is asked for must not change what a checkpoint holds.
        own.watches_only = True  # type: ignore[misc]
        hooks.append(own)
    return hooks

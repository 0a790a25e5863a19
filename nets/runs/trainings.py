"""A training under way: its states on disk, and who is told how it goes: files, TensorBoard, one's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from nets.configuration import Play
from nets.masking.curves import histogram
from nets.runs.folder import MASKS, METRICS
from nets.storage import records
from nets.storage.atomic import set_aside
from nets.storage.tensor_file import read_state, write_state
from nets.training.distributed import on_first, rank
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


#: Seconds between two checkpoints of a training.
INTERVAL = 30.0

#: Storing takes at most this share of the time, unless the interval asked for is 0.
SHARE = 0.01

#: Key of what a training has told of its mask, in its stored state.
HISTOGRAMS = "histograms"


class StoredTrainings:
    """States of trainings in a folder, one file a training, each replaced atomically.

    Of several processes that train together the first one writes and reads, and tells the others.

    Parameters
    ----------
    folder : Path
        Where the files lie; made when the first is written.
    belongs_to : mapping
        Plain values that tell what the trainings belong to (the data they see, the versions that compute
        them); a state stored under others is set aside.
    interval : float
        Seconds between two checkpoints of a training; 0 stores after every step. A state that takes long to
        write is written more seldom, so that storing takes no more than 1% of the time.
    keep_finished : bool
        Store finished trainings too: a search is replayed over them.
    device : str
        Where the trainings are computed.
    recorder : Recorder, optional
        What a training has told is stored with its state.
    say : callable
        Told in one sentence what was set aside.
    """

    def __init__(
        self,
        folder: Path,
        belongs_to: Mapping[str, Any],
        *,
        interval: float = INTERVAL,
        keep_finished: bool = True,
        device: str = "cpu",
        recorder: Recorder | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder
        self.device = device
        self.belongs_to = dict(belongs_to)
        self.interval = interval
        self.keep_finished = keep_finished
        self.recorder = recorder
        self.say = say
        #: Seconds that the last write took; a guess before the first.
        self.cost = 0.02

    def path(self, name: str) -> Path:
        """Return the file of a training."""
        return self.folder / f"{name}.safetensors"

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the state stored last, or None; what is damaged or of another run is set aside and said."""
        return on_first(lambda: self._load(name))

    def _load(self, name: str) -> dict[str, Any] | None:
        path = self.path(name)
        try:
            state, note = read_state(path, self.device)
        except FileNotFoundError:
            return None
        except ValueError as error:
            self.say(f"{error}; it was set aside as {set_aside(path).name} and this training starts again")
            return None
        if note != self.belongs_to:
            odd = [key for key in {**note, **self.belongs_to} if note.get(key) != self.belongs_to.get(key)]
            aside = set_aside(path).name
            self.say(f"{path} was computed with other {', '.join(odd)}; set aside as {aside}")
            return None
        histograms = state.pop(HISTOGRAMS, [])
        if self.recorder is not None:
            self.recorder.resume(name, histograms)
        return state

    def hooks(self, name: str) -> Sequence[Hook]:
        """Return the hook that stores the training while it runs."""
        return () if rank() else (_Storing(self, name),)

    def save(self, name: str, loop: Loop) -> None:
        """Store a finished training, unless it is quicker to train again than to store."""
        if rank() or not self.keep_finished:
            return
        if self.interval == 0 or loop.seconds * SHARE >= self.cost:
            self.store(name, loop)

    def store(self, name: str, loop: Loop) -> None:
        """Store the state of a training now.

        Raises
        ------
        nets.storage.atomic.StorageError
            If it cannot be written; the state stored before is untouched.
        """
        began = time.perf_counter()
        state = loop.state_dict()
        if self.recorder is not None:
            state[HISTOGRAMS] = list(self.recorder.histograms)
        write_state(self.path(name), state, self.belongs_to)
        self.cost = time.perf_counter() - began


class _Storing(Hook):
    """Stores a training every so often, between two steps."""

    watches_only: ClassVar[bool] = True

    def __init__(self, trainings: StoredTrainings, name: str) -> None:
        self._trainings = trainings
        self._name = name
        self._next = 0.0

    def start(self, loop: Loop) -> None:
        """Begin to count the seconds."""
        self._wait()

    def after_step(self, loop: Loop) -> None:
        """Store the state when it is due; the last step's is stored when the training has ended."""
        if time.monotonic() >= self._next and loop.step < loop.steps:
            self._trainings.store(self._name, loop)
            self._wait()

    def _wait(self) -> None:
        interval = self._trainings.interval
        pause = max(interval, self._trainings.cost / SHARE) if interval else 0.0
        self._next = time.monotonic() + pause

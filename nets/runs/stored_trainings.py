"""Trainings kept on disk while they run: `nets.training.loop.Checkpoint` over a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nets.runs.trackers import Recorder
from nets.storage.atomic import set_aside
from nets.storage.tensor_file import read_state, write_state
from nets.training.distributed import on_first, rank
from nets.training.loop import Hook, Loop

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

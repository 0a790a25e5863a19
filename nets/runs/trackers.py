"""Tell a tracker how a training goes: TensorBoard files, or a hook of the user's own. None is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from nets.configuration import Play
from nets.training.loop import Hook, Loop


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

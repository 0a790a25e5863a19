"""Trainings that survive an interruption: run the one loop, taking up the state stored last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from nets.configuration import Training
from nets.data import AnyData
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop


class Checkpoint(Protocol):
    """Where trainings are kept, so that what was interrupted resumes to the bit.

    The trainings of a search are named "search-0", "search-1", ... in the order in which the method asks for
    them. A method computes everything else from them deterministically, so replaying it over the stored
    trainings resumes it.
    """

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the last state stored of this training (`Loop.state_dict`), or None."""

    def hooks(self, name: str) -> Sequence[Hook]:
        """Return hooks that store the state while the training runs; called after all others."""

    def save(self, name: str, loop: Loop) -> None:
        """Store the state of a training that has just finished."""


def train(
    flat: FlatModel,
    data: AnyData,
    training: Training,
    *,
    seed: int,
    name: str,
    hooks: Sequence[Hook] = (),
    start: int = 0,
    until: int | None = None,
    checkpoint: Checkpoint | None = None,
    teacher: nn.Module | None = None,
) -> Loop:
    """Train through the one loop, from the state that the checkpoint holds, if it holds one.

    Parameters
    ----------
    flat, data, training, seed, hooks, start, name, teacher
        See `nets.training.loop.Loop`.
    until : int, optional
        See `Loop.run`.
    checkpoint : Checkpoint, optional
        Where states are loaded from and stored.

    Returns
    -------
    Loop
        Finished.
    """
    storing: Sequence[Hook] = checkpoint.hooks(name) if checkpoint else ()
    every = (*hooks, *storing)
    loop = Loop(flat, data, training, seed=seed, hooks=every, start=start, name=name, teacher=teacher)
    stored = checkpoint.load(name) if checkpoint else None
    if stored is not None:
        loop.load_state_dict(stored)
    loop.run(until)
    if checkpoint:
        checkpoint.save(name, loop)
    return loop

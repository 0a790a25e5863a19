"""The one training loop, and how methods plug into it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from nets.configuration import Training
from nets.data import AnyData
from nets.seeds import derive
from nets.training import distributed
from nets.training.evaluation import evaluate
from nets.training.flat_model import FlatModel
from nets.training.forward_backward import ForwardBackward
from nets.training.optimisers import LOOK, flush_denormals, learning_rates, optimiser


class Hook:
    """Something that acts during a training; override what is needed, the rest costs nothing.

    A hook works on the flat vectors of ``loop.flat`` (`nets.training.flat_model.FlatModel`): ``weights``,
    ``gradients`` and ``effective``, shape (n,) each. The order of one step is

    before_step -> forward, backward -> after_backward -> optimiser step, gradients zeroed -> after_step.

    A resumed training continues to the bit: what that needs is named in `state`, or returned by `state_dict`
    and taken back by `load_state_dict`; whatever is derived from it is recomputed in `start`.

    Attributes
    ----------
    state : tuple of str
        Names of attributes (tensors and plain values) that are the state of the hook.
    watches_only : bool
        True for a hook that changes nothing and has no state (progress, tracking, checkpoints): it is no part
        of the state of a training, so it may come and go between an interruption and the resumption.
    """

    state: ClassVar[tuple[str, ...]] = ()
    watches_only: ClassVar[bool] = False

    def start(self, loop: Loop) -> None:
        """Act once before the first step; on a resumed loop after the state was loaded."""

    def before_step(self, loop: Loop) -> None:
        """Act before the forward pass."""

    def after_backward(self, loop: Loop) -> None:
        """Act on the gradients before the optimiser sees them."""

    def take_step(self, loop: Loop) -> bool:
        """Take the optimiser's step and zero the gradients in place of the loop and return True, or False.

        One hook at most may do so; the hooks' `after_backward` come before it.
        """
        return False

    def after_step(self, loop: Loop) -> None:
        """Act after the optimiser step; ``loop.step`` counts the steps done."""

    def end_epoch(self, loop: Loop) -> dict[str, float] | None:
        """Act after an epoch; the numbers returned join the metrics of the epoch."""
        return None

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """See the metrics of an epoch that has ended, those that the hooks returned among them."""

    def finish(self, loop: Loop) -> None:
        """Act once after the last step."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values that `load_state_dict` takes back."""
        return {name.lstrip("_"): getattr(self, name) for name in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        for name in self.state:
            setattr(self, name, state[name.lstrip("_")])


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


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite."""


class Loop:
    """Train a network.

    Everything random comes from `seed`: the batch order and the augmentation from generators of their own,
    dropout from torch's global generator, which is seeded here and restored by `run`. On CPU the result is
    the same to the bit for the same number of threads.

    Parameters
    ----------
    flat : FlatModel
        The network.
    data : Dataset or Stream
        On the network's device.
    training : Training
        How to train.
    seed : int
        Fixes all that is random.
    hooks : sequence of Hook
        Called in this order.
    start : int
        Step at which the training starts: learning rates before it are skipped. The batch order is that of a
        training from step 0, so that a run rewound to step k meets the same batches afterwards.
    part : str or None
        Part of the data evaluated after every epoch.
    name : str
        Name of the training for those who watch it: "dense", "search-0", "retrain", ...
    teacher : Module, optional
        A network whose outputs the trained one is to come close to, in place of the targets (distillation);
        it stays as it is.
    checkpoint : Checkpoint, optional
        Where states are stored; the training goes on from the one that it holds.

    Attributes
    ----------
    step, steps, steps_per_epoch : int
        Steps done, steps of the whole training, steps in an epoch.
    metrics : list of dict
        One entry an epoch: epoch, loss, metric and loss of the evaluated part, what the hooks return.
    task : Task
        What is trained: that of the data, with the label smoothing of the training.
    loss : Tensor
        Loss of the last batch, shape ().
    """

    def __init__(
        self,
        flat: FlatModel,
        data: AnyData,
        training: Training,
        *,
        seed: int,
        hooks: Sequence[Hook] = (),
        start: int = 0,
        part: str | None = "validation",
        name: str = "training",
        teacher: nn.Module | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        if data.n_train == 0:
            raise ValueError(f"the training part of {data.name} is empty")
        self.flat = flat
        self.model = flat.model
        self.data = data
        self.training = training
        self.task = data.task.smoothed(training.label_smoothing)
        self.teacher = teacher
        self.seed = seed
        self.hooks = (*hooks, *(checkpoint.hooks(name) if checkpoint else ()))
        self.checkpoint = checkpoint
        self.part = part
        self.name = name
        self.batch_size = data.fits(training.batch_size)
        self.steps_per_epoch = data.steps_per_epoch(self.batch_size)
        self.steps = training.epochs * self.steps_per_epoch
        if not 0 <= start <= self.steps:
            raise ValueError(f"a training of {self.steps} steps cannot start at step {start}: rewind earlier")
        self.step = start
        self.epochs_ended = start // self.steps_per_epoch
        self.metrics: list[dict[str, float]] = []
        self.rates = learning_rates(
            training.schedule,
            training.lr,
            self.steps,
            warm_up=round(training.warm_up * self.steps_per_epoch),
            milestones=training.milestones,
            factor=training.lr_factor,
        )
        self.optimiser = flat.optimiser = optimiser(flat.parameter, training)
        self.optimiser.param_groups[0]["lr"] = self.rates[min(start, self.steps - 1)]
        self.loss = torch.zeros((), device=data.device)
        self._loss_sum = torch.zeros((), device=data.device)
        self._augmentation = torch.Generator(data.device).manual_seed(derive(seed, "augmentation"))
        self._global_state: dict[str, Tensor] | None = None
        self._seconds = 0.0
        self._began: float | None = None
        stored = checkpoint.load(name) if checkpoint else None
        if stored is not None:
            self.load_state_dict(stored)

    @property
    def epoch(self) -> int:
        """The epoch under way, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return self.step / self.steps

    @property
    def rate_share(self) -> float:
        """Learning rate of the step under way (or just done) as a share of its peak."""
        return float(self.optimiser.param_groups[0]["lr"]) / self.training.lr

    @property
    def peak_rate(self) -> float:
        """Peak learning rate."""
        return self.training.lr

    @property
    def decays_frozen(self) -> float:
        """Weight decay that would move weights whose gradient is zero."""
        return self.training.weight_decay

    @property
    def seconds(self) -> float:
        """Seconds spent in `run`, also before an interruption."""
        return self._seconds + (0.0 if self._began is None else time.perf_counter() - self._began)

    def run(self, until: int | None = None) -> Loop:
        """Train up to step `until` (default: to the end) and return the loop.

        Raises
        ------
        TrainingDiverged
            If the loss of an epoch is not finite.
        """
        until = self.steps if until is None else min(until, self.steps)
        self._began = time.perf_counter()
        devices = [self.data.device] if self.data.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            self._seed_global()
            self.model.train()
            self.flat.gradients_of_all.zero_()
            distributed.agree(self.flat.parameter.data, *self.model.buffers())
            for hook in self.hooks:
                hook.start(self)
            before, after_backward, after = map(
                self._overridden, ("before_step", "after_backward", "after_step")
            )
            optimiser, rates = self.optimiser, self.rates
            gradients, group = self.flat.gradients_of_all, self.optimiser.param_groups[0]
            forward_backward = ForwardBackward(self.flat, self.task, self.training, teacher=self.teacher)
            own_step = self._overridden("take_step")
            if len(own_step) > 1:
                raise ValueError(f"{len(own_step)} hooks want to take the optimiser's step; one at most can")
            self._end_epoch()  # of a loop that was stopped between its last step and its end
            with forward_backward.settings():
                while self.step < until:
                    for x, y in self.batches():
                        group["lr"] = rates[self.step]
                        for act in before:
                            act(self)
                        self.loss = forward_backward(x, y)
                        self._loss_sum += self.loss
                        for act in after_backward:
                            act(self)
                        if not any(step(self) for step in own_step):
                            optimiser.step()
                            gradients.zero_()
                        self.step += 1
                        if self.step % LOOK == 0:
                            flush_denormals(optimiser)
                        for act in after:
                            act(self)
                        if self.step >= until:
                            break
                    self._end_epoch()
            self._global_state = self._random_state()
            if self.step == self.steps:
                for hook in self.hooks:
                    hook.finish(self)
        self._seconds, self._began = self.seconds, None
        if self.checkpoint:
            self.checkpoint.save(self.name, self)
        return self

    def _seed_global(self) -> None:
        rank = distributed.rank()
        if rank:  # each process drops out units of its own
            torch.manual_seed(derive(self.seed, "network", rank, self.step))
        elif self._global_state is None:
            torch.manual_seed(derive(self.seed, "network"))
        else:
            torch.set_rng_state(self._global_state["cpu"])
            if self.data.device.type == "cuda" and "cuda" in self._global_state:
                torch.cuda.set_rng_state(self._global_state["cuda"], self.data.device)

    def _random_state(self) -> dict[str, Tensor]:
        """Return the state of torch's global generators, which dropout draws from."""
        state = {"cpu": torch.get_rng_state()}
        if self.data.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.data.device)
        return state

    def _overridden(self, name: str) -> list[Callable[..., Any]]:
        return [getattr(h, name) for h in self.hooks if getattr(type(h), name) is not getattr(Hook, name)]

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Return the batches of the epoch under way that are still to come."""
        return self.data.batches(
            self.batch_size, seed=self.seed, step=self.step, generator=self._augmentation
        )

    def _end_epoch(self) -> None:
        if self.epochs_ended == self.epoch:
            return
        self.epochs_ended += 1
        loss = self._loss_sum.item() / self.steps_per_epoch
        self._loss_sum.zero_()
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} in epoch {self.epochs_ended}; "
                f"lower the learning rate, now {self.training.lr:g}"
            )
        metrics = {"epoch": float(self.epochs_ended), "train_loss": loss}
        if self.part is not None and self.data.has(self.part):
            evaluation = evaluate(self.model, self.data, self.part)
            metrics[self.task.metric.column(self.part)] = evaluation.score
            metrics[f"{self.part}_loss"] = evaluation.loss
        for hook in self._overridden("end_epoch"):
            metrics |= hook(self) or {}
        self.metrics.append(metrics)
        for hook in self._overridden("record"):
            hook(self, metrics)

    @property
    def _stateful(self) -> list[Hook]:
        return [hook for hook in self.hooks if not hook.watches_only]

    def state_dict(self) -> dict[str, Any]:
        """Return all that the loop needs to continue to the bit: copies of tensors, and plain values.

        May be called between two steps (from `Hook.after_step`) or when the loop stands still.
        """
        return {
            "model": self.flat.snapshot(),
            "optimiser": _copied(self.optimiser.state_dict()),
            "hooks": [_copied(hook.state_dict()) for hook in self._stateful],
            "augmentation": self._augmentation.get_state(),
            "global": self._global_state if self._began is None else self._random_state(),
            "loss_sum": self._loss_sum.clone(),
            "step": self.step,
            "epochs_ended": self.epochs_ended,
            "metrics": [dict(m) for m in self.metrics],
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned; call `run` to continue."""
        if state["seed"] != self.seed or len(state["hooks"]) != len(self._stateful):
            raise ValueError("this state belongs to another training: its seed or its hooks differ")
        self.flat.load(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for hook, hook_state in zip(self._stateful, state["hooks"]):
            hook.load_state_dict(hook_state)
        self._augmentation.set_state(state["augmentation"])
        self._global_state = state["global"]
        self._loss_sum.copy_(state["loss_sum"])
        self.step = state["step"]
        self.epochs_ended = state["epochs_ended"]
        self.metrics = [dict(m) for m in state["metrics"]]
        self._seconds = state["seconds"]


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(v) for v in value)
    return value

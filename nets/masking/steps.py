"""What acts in any training loop through the step hooks of its optimiser: a mask that moves, or one held."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nets.masking import masked_step
from nets.masking.course import Entries, SparseTraining
from nets.masking.layout import tied, unwrapped
from nets.masking.shadow import Shadow
from nets.training.loop import Hook
from nets.training.optimisers import LOOK, flush_denormals

#: Masks that act at present, by their optimisers, which alone keep them alive.
_ACTING: WeakKeyDictionary[torch.optim.Optimizer, weakref.ref[Steps]] = WeakKeyDictionary()


def _acting() -> list[Steps]:
    return [steps for there in list(_ACTING.values()) if (steps := there()) is not None]


class Steps(Entries):
    """Hooks of a training (`nets.training.loop.Hook`) called from the step hooks of its optimiser.

    While the network runs, its parameters hold what it is to see. Before the optimiser's step they are
    given the weights theta and the gradients that the hooks made; after it the hooks set what the network
    sees next.

    Parameters
    ----------
    flat : Shadow
        The weights.
    hooks : sequence of Hook
        Called in this order.
    seed : int
        Fixes all that is random.
    """

    flat: Shadow

    #: What to do about a masked parameter that the optimiser does not have.
    _remedy = "give it the parameter, or exclude={!r}"

    def __init__(self, flat: Shadow, hooks: Sequence[Hook], seed: int = 0) -> None:
        self.flat = flat
        self.flat.optimiser = None
        self.seed = seed
        self.step = 0
        self.steps = 0
        self._hooks = tuple(hooks)
        self._peak = 0.0
        self._per_epoch = 0
        self._skipped = False
        self._group = 0
        self._handles: list[Any] = []

    def attach(
        self, optimiser: torch.optim.Optimizer, steps: int | None = None, steps_per_epoch: int | None = None
    ) -> None:
        """Act in the training of this optimiser from now on.

        Parameters
        ----------
        optimiser : Optimizer
            Any of torch's, or of its interface, that calls a closure at most once.
        steps : int, optional
            Steps of the whole training; default: those of the last one.
        steps_per_epoch : int, optional
            Steps of an epoch, where an option counts epochs.

        Raises
        ------
        ValueError
            If the optimiser calls its closure several times, does not step on a masked parameter, or carries
            a mask already.
        """
        optimiser = plain_optimiser(optimiser)
        if isinstance(optimiser, torch.optim.LBFGS):
            raise ValueError(
                "LBFGS calls the closure several times a step, at weights that no mask has seen: train the "
                "mask with SGD, Adam or another optimiser of one gradient a step"
            )
        if optimiser in _ACTING and _ACTING[optimiser]() is not self:
            raise ValueError("this optimiser carries a mask already: call remove() of that one first")
        ours = {id(p): name for name, p in zip(self.flat.layout.names, self.flat.parameters)}
        for other in _acting():
            shared = [ours[id(p)] for p in other.flat.parameters if id(p) in ours]
            if shared and other is not self:
                if not other.over:
                    raise ValueError(
                        f"{shared[0]} carries a mask already, through another optimiser: call remove() of "
                        "that one first"
                    )
                other.remove()
        places = {id(p): i for i, group in enumerate(optimiser.param_groups) for p in group["params"]}
        for name, p in zip(self.flat.layout.names, self.flat.parameters):
            if id(p) not in places:
                raise ValueError(
                    f"{name} is masked, but this optimiser does not step on it: {self._remedy.format(name)}"
                )
        if steps is not None:
            self.steps = int(steps)
        if self.steps < 1:
            raise ValueError(f"steps must be the number of optimiser steps, at least 1, got {self.steps}")
        self.remove()
        self.step = 0
        self._per_epoch = steps_per_epoch or 0
        self.flat.optimiser = optimiser
        self._group = places[id(self.flat.parameters[0])]
        self._peak = peak(optimiser.param_groups[self._group])
        self._register(optimiser)
        try:
            self._start()
        except Exception:
            self.remove()
            raise

    def _register(self, optimiser: torch.optim.Optimizer) -> None:
        _ACTING[optimiser] = weakref.ref(self)
        self._handles = [
            optimiser.register_step_pre_hook(self._before),
            optimiser.register_step_post_hook(self._after),
        ]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Act in the copy of the training too: an optimiser is copied without its hooks."""
        if self._handles:
            self.flat.settle()
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(copy.deepcopy({**vars(self), "_handles": []}, memo))
        if self._handles:
            twin._register(twin.optimiser)
        return twin

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a mask in a training is not pickled: keep its state_dict(), and load it into one made anew"
        )

    @torch.enable_grad()  # masks may be functions of trained scores
    def _start(self) -> None:
        for hook in self._hooks:
            hook.start(self)  # type: ignore[arg-type]
        self.flat.note()

    def refuse_diverged(self) -> None:
        """Raise ValueError if weights or mask hold NaN; no ticket can be cut from them."""
        masks = [hook.final(self) for hook in self._hooks if hasattr(hook, "final")]
        for values, what in [(self.flat.taken_up(), "weights"), *((mask, "mask") for mask in masks)]:
            names = [n for n, part in self.layout.split(values).items() if bool(torch.isnan(part).any())]
            if names:
                raise ValueError(
                    f"the training has diverged: the {what} of {', '.join(names)} hold NaN after step "
                    f"{self.step}; lower the learning rate or clip the gradients"
                )

    def remove(self) -> None:
        """Act no longer; the network keeps the weights that it sees."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.flat.optimiser is not None:
            acting = _ACTING.get(self.flat.optimiser)
            if acting is not None and acting() is self:
                del _ACTING[self.flat.optimiser]

    @property
    def over(self) -> bool:
        """Whether its training is at its end, so that another may begin."""
        return self.step >= self.steps

    @property
    def teacher(self) -> nn.Module | None:
        """The network whose outputs a loss is to compare those of the masked one with (concrete-ticket)."""
        return next((t for hook in self._hooks if (t := getattr(hook, "teacher", None)) is not None), None)

    @property
    def peak_rate(self) -> float:
        """Peak learning rate."""
        return self._peak

    @property
    def attached(self) -> bool:
        """Whether it acts, or has acted, in a training."""
        return self.flat.optimiser is not None

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Steps on the weights."""
        if self.flat.optimiser is None:
            raise ValueError("no optimiser yet: call attach(optimiser, steps) at the start of the training")
        return self.flat.optimiser

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.flat.model

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return min(1.0, self.step / self.steps)

    @property
    def rate_share(self) -> float:
        """Learning rate of the step under way as a share of the peak so far."""
        rate = float(self.optimiser.param_groups[self._group]["lr"])
        self._peak = max(self._peak, rate)
        return rate / self._peak if self._peak > 0 else 1.0

    @property
    def decays_frozen(self) -> float:
        """Weight decay of frozen weights: none, as they are left out of the step."""
        return 0.0

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch.

        Raises
        ------
        ValueError
            If they were not given.
        """
        if not self._per_epoch:
            raise ValueError("an option counts epochs: give steps_per_epoch, the optimiser's steps in one")
        return self._per_epoch

    def _before(
        self, optimiser: torch.optim.Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        closure = named.get("closure", arguments[1] if len(arguments) > 1 else None)
        if closure is not None:
            self.flat.settle()
            # The closure runs the network, which must see its own weights: run it before theta comes in.
            with torch.enable_grad():
                once = _Once(closure())
            if "closure" in named:
                named = {**named, "closure": once}
            else:
                arguments = (arguments[0], once, *arguments[2:])
        with torch.enable_grad():
            self.flat.settle()
            self._skipped = self._unscaled(optimiser)
            if not self._skipped:
                for hook in self._hooks:
                    hook.after_backward(self)  # type: ignore[arg-type]
                for hook in self._hooks:
                    hook.take_step(self)  # type: ignore[arg-type]
            self.flat.enter()
        return None if closure is None else (arguments, named)

    def _unscaled(self, optimiser: torch.optim.Optimizer) -> bool:
        """Divide gradients by the scale that a fused optimiser would divide by; tell if it skips the step."""
        found, scale = getattr(optimiser, "found_inf", None), getattr(optimiser, "grad_scale", None)
        if found is not None and float(found):
            return True
        if scale is not None:
            for group in optimiser.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.div_(scale)
            optimiser.grad_scale = None  # type: ignore[attr-defined]
        return False

    @torch.enable_grad()
    def _after(
        self, optimiser: torch.optim.Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        self.flat.leave()
        if self._skipped:
            return
        self.step += 1
        if self.step % LOOK == 0:
            flush_denormals(optimiser)
        for hook in self._hooks:
            hook.after_step(self)  # type: ignore[arg-type]
        if self.step == self.steps:
            for hook in self._hooks:
                hook.finish(self)  # type: ignore[arg-type]
        self.flat.note()


def plain_optimiser(optimiser: Any) -> torch.optim.Optimizer:
    """Return the optimiser of torch inside the wrappers of accelerate and the like."""
    inner = getattr(optimiser, "optimizer", None)
    while isinstance(inner, torch.optim.Optimizer):
        optimiser, inner = inner, getattr(inner, "optimizer", None)
    if not isinstance(optimiser, torch.optim.Optimizer):
        raise TypeError(
            f"a mask acts through a torch optimiser, such as torch.optim.AdamW(model.parameters()); got "
            f"{type(optimiser).__name__}"
        )
    return optimiser


class _Once:
    """A closure that has been called already; a second call would need weights that are not there."""

    def __init__(self, loss: Any) -> None:
        self._loss = loss
        self._called = False

    def __call__(self) -> Any:
        if self._called:
            raise RuntimeError(
                "this optimiser calls the closure several times a step, at weights that no mask has seen: "
                "train the mask with SGD, Adam or another optimiser of one gradient a step"
            )
        self._called = True
        return self._loss


class Hold(Steps):
    """Keep the pruned weights of a network exactly zero in any training loop; see `Ticket.hold`.

    Parameters
    ----------
    model : Module
        The network.
    optimiser : Optimizer
        It steps on the masked parameters.
    masks : mapping of str to Tensor
        Boolean, by parameter name.
    """

    _remedy = "give {!r} to the optimiser too"

    def __init__(
        self, model: nn.Module, optimiser: torch.optim.Optimizer, masks: Mapping[str, Tensor]
    ) -> None:
        inner = unwrapped(model)
        names = tied(inner)
        by_first = {}
        for name, mask in masks.items():
            if name not in names:
                raise ValueError(
                    f"this ticket is for another network: {type(inner).__name__} has no parameter {name}"
                )
            by_first[names[name]] = mask
        flat = Shadow(inner, list(by_first))
        flat_mask = flat.layout.join(by_first).to(flat.weights.device)
        super().__init__(flat, (_Zeros(flat_mask),))
        optimiser = plain_optimiser(optimiser)
        held = {id(p) for p in flat.parameters}
        for acting in _acting():  # the search is over
            if acting.flat.optimiser is optimiser or held & {id(p) for p in acting.flat.parameters}:
                acting.remove()
        self.attach(optimiser, steps=1)

    @property
    def over(self) -> bool:
        """Never: a network is held as long as it is trained."""
        return False


class _Zeros(SparseTraining):
    """Besides, sets pruned weights to zero after every step, whatever the optimiser mixes."""

    _taken = False

    def after_backward(self, loop: Any) -> None:
        self._taken = masked_step.in_one_pass(loop)
        if not self._taken:
            super().after_backward(loop)

    def take_step(self, loop: Any) -> bool:
        if self._taken:
            masked_step.step(loop, self._factor)
        return self._taken

    def after_step(self, loop: Any) -> None:
        if not self._taken:
            loop.flat.show(self._factor)


def peak(group: Mapping[str, Any]) -> float:
    """Return the peak learning rate of a group: one-cycle schedules and warm-ups start far below it."""
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))

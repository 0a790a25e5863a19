"""A mask in any training loop: it acts through the step hooks of the optimiser, the loop stays as it is."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from concave_sparsity import Log, Penalty
from concave_sparsity.parameters import real_number
from nets.granularity.layers import LayerDensities
from nets.granularity.names import density_under, granularity_name
from nets.masking.course import MaskHook
from nets.masking.curves import traced
from nets.masking.layout import maskable, plain, unwrapped
from nets.masking.shadow import Shadow
from nets.masking.steps import Steps, peak, plain_optimiser
from nets.methods import Method
from nets.methods import method as named_method
from nets.search import Wanted
from nets.tasks import Task, named_task
from nets.tasks.metrics import named_metric
from nets.tickets import Ticket


class Masking(Steps):
    """Find a ticket in a training loop of one's own: two lines, and the loop stays as it is.

    While the network runs, its parameters hold the effective weights theta * m. Before the optimiser's step
    they hold theta, and their gradients are multiplied by m; after it they hold the effective weights again.
    So the mask works with weights that are tied, packed or flattened, copies and pickles of the network,
    compilation, DistributedDataParallel, captured graphs of forward and backward, averaged weights, gradient
    scalers, accumulation and clipping, and with any optimiser of one gradient a step, its groups and
    schedulers. The gradients that a user sees before the step, and clips, are those of the effective weights.

    Parameters
    ----------
    model : Module
        Any network, its weights the initial ones; wrapped (compiled, distributed) or not.
    optimiser : Optimizer
        Any that steps on the masked parameters and takes one gradient a step; not LBFGS.
    method : str or Method
        A method that acts during one training: concave, l1, gmp, set, rigl, soft-threshold,
        continuous-sparsification, l0, pilot, edge-popup, gem-miner, magnitude, random, synflow, with `loss`
        and `batch` snip and grasp, and concrete-ticket, where your loss compares the network's outputs with
        those of `masking.teacher`, the dense network at its initial weights.
        Methods in rounds: `nets.find_ticket` with ``train=``.
    penalty : Penalty or str
        For methods that take one.
    density : float or mapping of str to float
        Share of the masked weights to keep, in (0, 1]; or one by glob pattern over their names, the first
        match counts: ``{"fc1.*": 0.1, "*": 0.05}``.
    steps : int
        Optimiser steps of the whole training: the schedule of the mask follows it.
    options : mapping, optional
        The method's own options (``lottery methods NAME`` lists them).
    include, exclude : str or sequence of str
        Glob patterns of the parameters to mask; see `nets.masking.layout.maskable`.
    granularity : str
        "weight"; "N:M", e.g. "2:4"; "channel" (needs a `batch`).
    seed : int
        Fixes all that is random in the method.
    loss : callable, Task or str, optional
        (output, target) -> mean loss, or a task, for methods that look at gradients of the untrained network.
    batch : tuple or iterable of tuples, optional
        (inputs, target), or several such, for the same methods; inputs may be a tuple or a mapping of
        arguments of the network.
    steps_per_epoch : int, optional
        For options that count epochs.

    Attributes
    ----------
    step, steps : int
        Steps done, steps of the whole training.

    Raises
    ------
    ValueError
        If the method needs several trainings or a loss of its own, or something does not fit the network.

    Examples
    --------
    >>> masking = Masking(model, optimiser, penalty=Log(0.02), density=0.05, steps=epochs * len(loader))
    >>> for x, y in loader:
    ...     criterion(model(x), y).backward()
    ...     optimiser.step()
    ...     optimiser.zero_grad()
    >>> ticket = masking.ticket(weights=initial_state)
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        method: str | Method = "concave",
        *,
        steps: int,
        penalty: Penalty | str = Log(0.02),  # noqa: B008 - frozen
        density: float | Mapping[str, float] = 0.05,
        options: Mapping[str, Any] | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        granularity: str = "weight",
        seed: int = 0,
        loss: Callable[[Any, Any], Tensor] | Task | str | None = None,
        batch: Any = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        chosen = named_method(method)
        if chosen.mask is None:
            raise ValueError(
                f"method {chosen.name} does not act within one training: nets.find_ticket(model, "
                f'method="{chosen.name}", train=my_training) calls my_training(model, masking) as often as '
                "it needs"
            )
        self.method = chosen
        self.options = chosen.settle(options or {})
        if chosen.cost(0.5, 1.0, self.options) > 1.0:
            raise ValueError("rounds are several trainings: use nets.find_ticket with train=my_training")
        if self.options.get("rewinding", "weights") != "weights":
            raise ValueError(
                "rewinding is said when the ticket is cut: masking.ticket() keeps the trained weights, "
                "masking.ticket(weights=initial_state) rewinds them; leave the option out"
            )
        own = (
            density if isinstance(density, Mapping) else density_under(granularity_name(granularity), density)
        )
        wanted = Wanted(
            densities=[own], penalty=penalty, include=include, exclude=exclude, granularity=granularity
        )
        self.penalty: Penalty | None = wanted.penalty  # type: ignore[assignment]  # parsed
        self.granularity = wanted.granularity
        chosen.refuse(self.granularity)
        self._batches = Batches(loss, batch)
        if real_number(steps, "steps, the number of optimiser steps,") < 1 or not float(steps).is_integer():
            raise ValueError(f"steps must be the number of optimiser steps, at least 1, got {steps!r}")
        optimiser = plain_optimiser(optimiser)
        model = unwrapped(model)
        flat = Shadow(model, maskable(model, include, exclude, units=wanted.units))
        flat.layout = wanted.layout(model, flat.layout, self._batches.first())
        (self.asked,) = wanted.asked(flat.layout)
        super().__init__(flat, (), seed)
        self.count(self.asked)
        self.steps = int(steps)
        self._peak = peak(optimiser.param_groups[0])
        self._hook: MaskHook = self._made(chosen)
        self._hooks = (self._hook,)  # type: ignore[assignment]
        self._follows = chosen.density_follows(self.options)
        self.attach(optimiser, steps, steps_per_epoch)

    def _made(self, chosen: Method) -> MaskHook:
        assert chosen.mask is not None
        with torch.enable_grad():  # criteria look at gradients
            hook: MaskHook = chosen.mask(self, self.asked)
        return hook

    # what a method makes its mask from (`nets.masking.course.Scoring`)

    def batches(self, samples: int) -> Iterator[tuple[Any, Any]]:
        """Yield the batches given, up to a number of samples."""
        return self._batches.several(samples)

    @property
    def task(self) -> Task:
        """The loss that was given."""
        return self._batches.task

    def like_inputs(self, dtype: torch.dtype) -> Tensor:
        """Return an input of ones, shape (1, ...)."""
        return self._batches.ones(dtype)

    def charge(self, samples: int, seconds: float = 0.0) -> None:
        """Count nothing: the training is the user's."""

    # what a user asks

    @property
    def density(self) -> float:
        """Share of the masked weights that are kept at present: whose mask is above one half."""
        mask = self.whole(self._hook.final(self))
        kept = mask.abs() > getattr(self._hook, "halfway", 0.5)
        return float(kept.to(torch.float64).mean())

    @property
    def lam(self) -> float:
        """Weight of the penalty as it is at present; 0 for methods without one."""
        return float(self._hook.lam)

    @property
    def trace(self) -> Mapping[str, Sequence[float]]:
        """Curves of the training: step, target density, lam, mean of the mask, share above one half."""
        return self._hook.trace

    @property
    def masks(self) -> dict[str, Tensor]:
        """The mask as it is at present, relaxed, by the names of the parameters."""
        return {name: mask.clone() for name, mask in self.layout.split(self._hook.final(self)).items()}

    @torch.no_grad()
    def ticket(self, weights: Mapping[str, Tensor] | None = None) -> Ticket:
        """Cut the mask to the density asked for, exactly; the network and the training stay as they are.

        Parameters
        ----------
        weights : mapping of str to Tensor, optional
            State (`state_dict`) that the ticket is rewound to; default: the present weights, trained.

        Returns
        -------
        Ticket
            Its tensors lie on the CPU.

        Raises
        ------
        ValueError
            If the training has diverged: weights or mask hold NaN.

        Warns
        -----
        UserWarning
            If the training is not at its end: the mask is cut while it still moves. If `weights` are the
            network's own tensors, which the training has changed.
        """
        if weights is not None and not isinstance(weights, Mapping):
            raise TypeError(
                "weights must be a state of the network, copy.deepcopy(model.state_dict()) from before the "
                f"training, got {type(weights).__name__}"
            )
        if weights is not None and self.step and self.flat.is_live(plain(weights)):
            warnings.warn(
                "weights are the network's own tensors, which the training has changed: keep "
                "copy.deepcopy(model.state_dict()) before it",
                stacklevel=3,
            )
        if self.step < self.steps:
            warnings.warn(
                f"this ticket is cut at step {self.step} of {self.steps}: the mask was still moving",
                stacklevel=3,  # past the decorator
            )
        self.refuse_diverged()
        mask = self._hook.cut(self, self.count(self.asked))
        groups = self.layout.groups
        if not self._follows:
            self.refuse(mask, self.asked)
        metadata: dict[str, Any] = {
            "method": self.method.name,
            "model": type(self.model).__name__,
            "seed": self.seed,
            "options": dict(self.options),
            "asked_density": self.asked,
            "steps": self.step,
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }
        if "penalty" in self.method.needs:
            metadata["penalty"] = repr(self.penalty)
        if isinstance(groups, LayerDensities):
            metadata["densities"] = groups.asked
        if self.granularity != "weight":
            metadata["granularity"] = self.granularity
            x = self._batches.first()
            if x is not None:
                metadata["input_shape"] = list(x.shape[1:])
            metadata |= groups.report(mask)
        state = self.flat.snapshot(self.flat.taken_up()) if weights is None else plain(weights)
        return Ticket(
            {name: part.cpu().clone() for name, part in self.layout.split(mask).items()},
            {name: tensor.detach().cpu().clone() for name, tensor in state.items()},
            metadata,
            traced(self._hook, self.whole(self._hook.final(self))),
        )

    @property
    def _identity(self) -> dict[str, Any]:
        """What must be the same in the masking that takes a state."""
        return {
            "method": self.method.name,
            "names": list(self.layout.names),
            "steps": self.steps,
            "density": self.asked,
            "granularity": self.granularity,
            "penalty": repr(self.penalty) if "penalty" in self.method.needs else "",
            "options": dict(self.options),
            "seed": self.seed,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return all that an interrupted loop needs beside the states of network, optimiser and scheduler."""
        if self._handles:
            self.flat.settle()  # what was written into the network is theta from the next step on
        separate = self.flat._theta
        return {
            **self._identity,
            "step": self.step,
            "peak": self._peak,
            "weights": None if separate is None else separate.clone(),
            "hook": copy.deepcopy(self._hook.state_dict()),  # type: ignore[attr-defined]
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned, after network and optimiser have taken back theirs.

        Raises
        ------
        ValueError
            If it belongs to another method, network, density, penalty or number of steps, or is no state of
            a mask.
        """
        own = self._identity
        parts = (*own, "step", "peak", "weights", "hook")
        if missing := [name for name in parts if name not in state]:
            raise ValueError(
                f"this is no state of a mask, it has no {', '.join(missing)}: give what masking.state_dict() "
                "returned"
            )
        for name, value in own.items():
            if state[name] != value:
                raise ValueError(
                    f"this state is of a masking with {name} {_brief(state[name])}, this one has {name} "
                    f"{_brief(value)}: make the masking as that one was made"
                )
        self.step, self._peak = int(state["step"]), float(state["peak"])
        self._hook.load_state_dict(copy.deepcopy(state["hook"]))  # type: ignore[attr-defined]
        if state["weights"] is not None:
            self.flat.separate()
            self.flat.weights.copy_(state["weights"])
        self._start()


def _brief(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(value[:3]) + (", ..." if len(value) > 3 else "")


@dataclass(frozen=True)
class Batches:
    """A loss and some batches of the user's, for criteria that look at gradients.

    Parameters
    ----------
    loss : callable, Task or str, optional
        (output, target) -> mean loss, or a task.
    batch : tuple or iterable of tuples, optional
        (inputs, target), or several such.
    """

    loss: Callable[[Any, Any], Tensor] | Task | str | None
    batch: Any

    def __post_init__(self) -> None:
        if isinstance(self.batch, Iterator):
            raise ValueError(
                "batch is an iterator, which can be read once: give a list of batches, or a loader"
            )

    def _all(self) -> Iterator[tuple[Any, Any]]:
        batch = self.batch
        if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor):
            batch = [(batch[0], batch[1])]
        elif isinstance(batch, Tensor):
            batch = [batch]
        for one in batch:
            if not isinstance(one, (tuple, list)) or len(one) != 2:
                raise ValueError(
                    f"batch= is one batch (inputs, target) or several, got a {type(one).__name__} in it"
                )
            yield one[0], one[1]

    def several(self, samples: int) -> Iterator[tuple[Any, Any]]:
        """Yield batches, up to a number of samples.

        Raises
        ------
        ValueError
            If there are none.
        """
        if self.batch is None:
            raise ValueError(
                "the method looks at samples: give batch=(inputs, target), or several, and loss= if it takes "
                "gradients before the training"
            )
        seen = 0
        for inputs, target in self._all():
            if seen >= samples:
                return
            seen += len(target)
            yield inputs, target

    @property
    def task(self) -> Task:
        """The loss, as a task."""
        if self.loss is None:
            raise ValueError("the method looks at gradients before training: give loss= and batch=")
        if isinstance(self.loss, (str, Task)):
            return named_task(self.loss)
        logits = self.loss is functional.cross_entropy or isinstance(self.loss, nn.CrossEntropyLoss)
        return Task(self.loss, named_metric("mae"), logits=logits)

    def first(self) -> Tensor | None:
        """Return the first inputs, if they are a tensor."""
        if self.batch is None or isinstance(self.batch, Tensor):
            return self.batch
        inputs = next(self._all(), (None, None))[0]
        return inputs if isinstance(inputs, Tensor) else None

    def ones(self, dtype: torch.dtype) -> Tensor:
        """Return an input of ones, shape (1, ...)."""
        x = self.first()
        if x is None or not x.is_floating_point():
            raise ValueError("the method needs an input of floats: give a batch=")
        return torch.ones_like(x[:1], dtype=dtype)

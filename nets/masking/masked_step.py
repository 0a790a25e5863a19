"""A step of SGD or Adam on weights under a mask in one pass over the vectors, on a processor.

In separate calls the step of SGD reads and writes the vectors of gradients, squares, mask, momentum, weights
and effective weights sixteen times in all, which takes longer than the arithmetic; in one pass it is ten
times, as often as the unmasked step takes with torch's calls. And torch's root of a zero, which the second
moments of pruned weights are, takes twenty times as long as that of another number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from nets.masking.course import Course
from nets.masking.shadow import Shadow
from nets.training.flat_model import FlatModel
from nets.training.optimisers import SGD

TYPES = (torch.float32, torch.float64)

Group = Mapping[str, Any]


def in_one_pass(loop: Course) -> bool:
    """Return whether `step` can act: torch's own SGD with momentum, a processor, float32 or float64.

    In a loop of the user's also Adam and AdamW, once their moments are there. The optimiser must be at its
    defaults otherwise, and have no step hooks but ours: they would find no gradients.
    """
    flat, optimiser = loop.flat, loop.optimiser
    if isinstance(flat, Shadow):
        return type(optimiser) in KINDS and _Table.of(flat, optimiser).ready()
    return (
        isinstance(flat, FlatModel)
        and type(optimiser) in (SGD, torch.optim.SGD)  # another derived from it may step otherwise
        and _usual(optimiser.param_groups[0])
        and flat.parameter.device.type == "cpu"
        and flat.parameter.dtype in TYPES
    )


def step(loop: Course, mask: Tensor, squares: Tensor | None = None) -> None:
    """Step the optimiser on the weights theta of which the network sees theta * mask.

    The same as, up to rounding, ``squares += gradients**2; gradients *= mask``, the step of the optimiser,
    and ``effective = weights * mask``. What the optimiser remembers stays in its own state. In our own loop
    gradients are zeroed; in a user's they stay, and the optimiser leaves the parameters out.

    Parameters
    ----------
    loop : Course
        With gradients of the effective weights; `in_one_pass` holds for it.
    mask : Tensor
        Shape (n,).
    squares : Tensor, optional
        Running sum of squared gradients of the effective weights, shape (n,), changed in place. Without, of
        networks that see theta itself: it is kept zero outside the mask.
    """
    flat, optimiser = loop.flat, loop.optimiser
    if isinstance(flat, Shadow):
        flat.stepped(_Table.of(flat, optimiser).step(mask, squares))
        return
    assert isinstance(flat, FlatModel)
    assert squares is not None
    _step_flat(flat, optimiser, mask, squares)


#: Jobs of our own loop, with the addresses that they are about.
_JOBS: WeakKeyDictionary[FlatModel, tuple[list[int], Any]] = WeakKeyDictionary()


def _step_flat(flat: FlatModel, optimiser: torch.optim.Optimizer, mask: Tensor, squares: Tensor) -> None:
    from nets.masking import kernels

    parameter = flat.parameter
    momenta = _momenta(optimiser.state[parameter], parameter)
    vectors = (flat.gradients_of_all, parameter, momenta, mask, flat.effective, squares)
    addresses = [vector.data_ptr() for vector in vectors]
    kept, job = _JOBS.get(flat, ([], None))
    if kept != addresses:
        n, at, under = flat.n, addresses[:3], addresses[3:]
        if not _plain(momenta, parameter.dtype, parameter.numel()):
            raise ValueError("the optimiser's momentum is of another network: load a state of this one")
        rest = [address + n * parameter.element_size() for address in at]
        table = np.array([[n, *at, 0, *under], [parameter.numel() - n, *rest, 0, 0, 0, 0]])
        job = kernels.Job(kernels.SGD, table, np.ones((2, 8), dtype=mask.numpy().dtype))
        _JOBS[flat] = addresses, job
    job.rates[:, :4] = _sgd(optimiser.param_groups[0], 1.0)[:4]
    job.run()


def _momenta(state: dict[str, Any], p: Tensor) -> Tensor:
    if state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
    momenta: Tensor = state["momentum_buffer"]
    return momenta


def _usual(group: Group) -> bool:
    """Return whether a group of the optimiser asks for what the pass does."""
    if any(map(group.get, ("maximize", "differentiable", "amsgrad", "capturable"))):
        return False
    if any(isinstance(value, Tensor) for value in (*group.values(), *group.get("betas", ()))):
        return False
    return "betas" in group or (group["momentum"] > 0 and not group["dampening"])


def _sgd(group: Group, done: float) -> tuple[float, ...]:
    return group["lr"], group["momentum"], group["weight_decay"], group["nesterov"], 0.0, 0.0, 0.0, 0.0


def _adam(group: Group, done: float, decoupled: bool = False) -> tuple[float, ...]:
    (first, second), lr, decay = group["betas"], group["lr"], group["weight_decay"]
    decoupled = group.get("decoupled_weight_decay", decoupled)
    shrink, decay = (1.0 - lr * decay, 0.0) if decoupled else (1.0, decay)
    root = (1.0 - second**done) ** -0.5
    return lr / (1.0 - first**done), shrink, decay, 1.0 - first, second, 1.0 - second, root, group["eps"]


def _adamw(group: Group, done: float) -> tuple[float, ...]:
    return _adam(group, done, True)


#: What makes the rates of `nets.masking.kernels.Job` of a group and the number of steps, this one counted.
Rates = Callable[[Group, float], tuple[float, ...]]

#: Optimisers that the pass knows, the vectors in their state, and their rates.
KINDS: dict[type[torch.optim.Optimizer], tuple[tuple[str, ...], Rates]] = {
    torch.optim.SGD: (("momentum_buffer",), _sgd),
    torch.optim.Adam: (("exp_avg", "exp_avg_sq"), _adam),
    torch.optim.AdamW: (("exp_avg", "exp_avg_sq"), _adamw),
}


class _Table:
    """What a step in a user's loop moves, and where it lies in memory: kept from step to step.

    Parameters without a mask are in it too, if they are like the others: the optimiser has nothing left to
    do then. A line of Python takes three times as long as on its own while the network's numbers fill the
    caches, so little is looked up at every step.
    """

    def __init__(self, flat: Shadow, optimiser: torch.optim.Optimizer) -> None:
        self.flat, self.optimiser = flat, optimiser
        self.state, self.groups = optimiser.state, optimiser.param_groups
        self.names, self.rates = KINDS[type(optimiser)]
        self.dtype = flat.parameters[0].dtype
        self.all = [list(group["params"]) for group in self.groups]
        self.ids = [list(map(id, parameters)) for parameters in self.all]
        group_of = {i: place for place, ids in enumerate(self.ids) for i in ids}
        masked = set(map(id, flat.parameters))
        others = [p for p in chain(*self.all) if id(p) not in masked and type(p) is nn.Parameter]
        self.parameters = [*flat.parameters, *others]
        self.sources = [*flat.sources, *others]
        self.places = [group_of.get(id(p), -1) for p in self.parameters]
        self.fits = (
            self.dtype in TYPES
            and flat.parameters[0].device.type == "cpu"
            and all(type(p) is nn.Parameter for p in flat.parameters)
            and -1 not in self.places
        )
        self.used = sorted(set(self.places))
        self.found: list[tuple[Any, ...]] = [()] * len(self.parameters)
        self.kept: list[Any] = [None] * len(self.parameters)  # so that no id is given anew
        self.masks: list[tuple[int, int]] = []
        self.held: tuple[Tensor, ...] = ()
        self.last: list[tuple[float, ...]] = []
        self.table = np.zeros((len(self.parameters), 8), dtype=np.int64)
        self.job: Any = None
        self.gradients = [0] * len(self.parameters)

    @staticmethod
    def of(flat: Shadow, optimiser: torch.optim.Optimizer) -> _Table:
        """Return the table of the last step, or a new one if the optimiser has other parameters or states."""
        found: _Table | None = flat.table
        if (
            found is None
            or found.state is not optimiser.state
            or found.groups is not optimiser.param_groups
            or found.ids != [list(map(id, group["params"])) for group in found.groups]
        ):
            flat.table = found = _Table(flat, optimiser)
        return found

    def ready(self) -> bool:
        """Note where the gradients lie; tell whether all masked parameters that have one can be stepped."""
        hooks = (self.optimiser._optimizer_step_pre_hooks, self.optimiser._optimizer_step_post_hooks)
        if not self.fits or not self.flat.untouched or any(len(ours) > 1 for ours in hooks):
            return False
        groups = [(place, self.groups[place]) for place in self.used]
        usual = {i: _usual(group) and not (group.get("foreach") or group.get("fused")) for i, group in groups}
        masked = len(self.flat.parameters)
        for i, (p, place) in enumerate(zip(self.parameters, self.places)):
            gradient = p.grad
            self.gradients[i] = 0
            if gradient is not None:
                if usual[place] and _plain(gradient, self.dtype, p.numel()) and self._found(i, p):
                    self.gradients[i] = gradient.data_ptr()
                elif i < masked:
                    return False
        return True

    def _found(self, i: int, p: nn.Parameter) -> bool:
        """Note where weights and the optimiser's vectors lie; tell whether the pass can take them.

        Memory can move under a tensor that stays the same object: into shared memory, or by ``p.data = ...``.
        """
        state, n, source = self.state[p], p.numel(), self.sources[i]
        vectors = [state.get(name) for name in self.names]
        places = [v if v is None else (id(v), v.data_ptr(), v.numel()) for v in vectors]
        found = (n, p.data_ptr(), source.data_ptr(), *places)
        if found == self.found[i]:
            return True
        self.found[i] = ()
        if not (p.is_cpu and p.is_contiguous() and p.dtype is self.dtype and source.numel() == n):
            return False
        if vectors == [None]:
            vectors = [_momenta(state, p)]
        if not all(v is not None and v.is_cpu and _plain(v, self.dtype, n) for v in vectors):
            return False
        self.table[i, [0, 2, 6]] = n, source.data_ptr(), p.data_ptr()
        self.table[i, 3 : 3 + len(vectors)] = [vector.data_ptr() for vector in vectors]
        self.found[i], self.kept[i] = found, vectors
        return True

    def step(self, mask: Tensor, squares: Tensor | None) -> list[nn.Parameter]:
        """Step on all that has a gradient, under the mask where there is one, and return it."""
        vectors = (mask,) if squares is None else (mask, squares)
        masks = [(id(vector), vector.data_ptr()) for vector in vectors]
        if self.masks != masks:
            self._place(*vectors)
            self.masks, self.held = masks, vectors
        adaptive = len(self.names) > 1
        stepped: list[nn.Parameter] = []
        rates: list[tuple[float, ...]] = []
        made: dict[tuple[int, float], tuple[float, ...]] = {}
        for p, place, gradient in zip(self.parameters, self.places, self.gradients):
            done = 1.0
            if gradient:
                stepped.append(p)
                if adaptive:
                    self.state[p]["step"] += 1
                    done = float(self.state[p]["step"])
            if (place, done) not in made:
                made[place, done] = self.rates(self.groups[place], done)
            rates.append(made[place, done])
        if rates != self.last:
            self.job.rates[:] = self.last = rates
        self.job.table[:, 1] = self.gradients
        self.job.run()
        return stepped

    def _place(self, *vectors: Tensor) -> None:
        flat = self.flat
        for vector in vectors:
            if vector.shape != (flat.n,) or not _plain(vector, self.dtype, flat.n):
                raise ValueError(
                    f"the mask has {tuple(vector.shape)} entries of {vector.dtype}, the weights are {flat.n} "
                    f"of {self.dtype}: load a state of this network"
                )
        from nets.masking import kernels

        for column, vector in zip((5, 7), vectors):
            self.table[: len(flat.parameters), column] = [v.data_ptr() for v in flat.layout.segments(vector)]
        kind = kernels.SGD if len(self.names) == 1 else kernels.ADAM
        self.job = kernels.Job(kind, self.table, np.zeros(self.table.shape, dtype=vectors[0].numpy().dtype))
        self.last = []


def _plain(vector: Tensor, dtype: torch.dtype, n: int) -> bool:
    """Return whether memory holds the n numbers of a tensor as they are, one behind the other."""
    return (
        type(vector) is Tensor
        and vector.dtype is dtype
        and vector.numel() == n
        and vector.is_contiguous()
        and not vector.is_neg()
    )

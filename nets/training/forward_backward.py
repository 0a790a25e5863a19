"""Forward and backward of one step: plain, in mixed precision, compiled, as a CUDA graph, in parts.

Gradients are added to those of the network, which lie in one flat vector; everything else of a step (hooks,
optimiser) is a few calls on flat vectors and needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from nets.configuration import Training
from nets.data.batches import forward, mapped, parts, size
from nets.tasks import Task
from nets.training import distributed
from nets.training.flat_model import FlatModel

#: Passes before a CUDA graph is captured, in which libraries choose their algorithms.
WARM_UP = 3


class ForwardBackward:
    """Add the gradient of a batch to that of the network and return the loss.

    Parameters
    ----------
    flat : FlatModel
        The network.
    task : Task
        Its loss is that of a batch.
    training : Training
        precision, channels_last, compile, graphs, accumulate.
    teacher : Module, optional
        A network whose outputs take the place of the targets; the loss is then the task's divergence from
        them.

    Raises
    ------
    ValueError
        If graphs are asked for where there are none: not on CUDA.
    """

    def __init__(
        self, flat: FlatModel, task: Task, training: Training, *, teacher: nn.Module | None = None
    ) -> None:
        self._flat = flat
        self._teacher = teacher
        self._task = task if teacher is None else task.taught()
        self._device = flat.parameter.device
        self._parts = training.accumulate
        self._format = torch.channels_last if training.channels_last else torch.preserve_format
        self._dtype = torch.bfloat16 if training.precision == "bfloat16" else None
        self._graphs: dict[tuple[Any, ...], Graph] | None = None
        self._addresses = (0, 0)
        if training.graphs:
            if self._device.type != "cuda":
                raise ValueError(f"graphs need a CUDA device, the network is on {self._device}")
            self._graphs = {}
        self._forward: Callable[[Any, Any], Tensor] = self._network_loss
        if training.compile:
            self._forward = torch.compile(self._network_loss, dynamic=False)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Choose the fastest algorithms for fixed shapes on CUDA; whole-batch statistics if distributed."""
        benchmark = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = benchmark or self._device.type == "cuda"
        try:
            with distributed.whole_batch_statistics(self._flat.model):
                yield
        finally:
            torch.backends.cudnn.benchmark = benchmark
            self._forget_graphs()

    def __call__(self, x: Any, y: Any) -> Tensor:
        """Return the loss of a batch, shape (), detached; its gradient is added to the network's.

        Several processes each take their share, and the loss and the gradient are those of the whole batch.
        """
        if self._teacher is not None:
            with torch.no_grad(), self._cast():
                y = forward(self._teacher, x)
        if self._format is torch.channels_last:
            x = mapped(_channels_last, x)
        if distributed.size() == 1 and self._parts == 1:
            return self._pass(x, y, 1.0)
        samples = size(y)
        if samples < distributed.size() * self._parts:
            raise ValueError(
                f"a batch of {samples} is too small for {distributed.size()} processes with "
                f"{self._parts} parts each; make it larger"
            )
        whole = self._task.count(y)
        x, y = mapped(distributed.share, x), mapped(distributed.share, y)
        loss = torch.zeros((), device=self._device)
        for a, b in zip(parts(x, self._parts), parts(y, self._parts)):
            loss += self._pass(a, b, self._task.count(b) / whole)
        distributed.add_up(loss, self._flat.gradients_of_all)
        return loss

    def _network_loss(self, x: Any, y: Any) -> Tensor:
        with self._cast():
            return self._task.loss(forward(self._flat.model, x), y)

    def _cast(self) -> AbstractContextManager[Any]:
        if self._dtype is None:
            return nullcontext()
        # Cast weights are not cached: a captured graph must cast them anew at every step.
        return torch.autocast(self._device.type, self._dtype, cache_enabled=False)

    def _pass(self, x: Any, y: Any, weight: float | Tensor) -> Tensor:
        if self._graphs is None:
            return self._eager(x, y, weight)
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            raise ValueError("graphs need batches of one input tensor and one target tensor: leave them out")
        weight = float(weight)
        # A graph knows addresses, so it is good only while the network's weights stay where they are.
        addresses = self._flat.parameter.data_ptr(), self._flat.effective.data_ptr()
        if addresses != self._addresses:
            self._forget_graphs()
            self._addresses = addresses
        key = x.shape, x.dtype, weight
        if key not in self._graphs:
            self._graphs[key] = Graph(self._eager, self._flat, x, y, weight)
        return self._graphs[key].replay(x, y)

    def _forget_graphs(self) -> None:
        """Free the graphs and the memory they own now: a capture must not meet the end of an older graph."""
        if self._graphs:
            torch.cuda.synchronize(self._device)
            self._graphs.clear()

    def _eager(self, x: Any, y: Any, weight: float | Tensor) -> Tensor:
        loss = self._forward(x, y)
        if isinstance(weight, Tensor) or weight != 1.0:
            loss = loss * weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


class Graph:
    """Forward and backward captured once, replayed at every step: one launch in place of hundreds."""

    def __init__(
        self,
        eager: Callable[[Tensor, Tensor, float], Tensor],
        flat: FlatModel,
        x: Tensor,
        y: Tensor,
        weight: float,
    ) -> None:
        self.x, self.y = x.clone(), y.clone()
        kept = {name: buffer.clone() for name, buffer in flat.model.named_buffers()}
        gradients = flat.gradients_of_all.clone()
        state = torch.cuda.get_rng_state(x.device)
        # Warm-up and capture share a stream of this very device, which need not be the current one.
        with torch.cuda.device(x.device):
            current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    eager(self.x, self.y, weight)
            current.wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=side):
                self.loss = eager(self.x, self.y, weight)
        # The warm-up leaves no trace: statistics, gradients and random numbers are as before.
        for name, buffer in flat.model.named_buffers():
            buffer.copy_(kept[name])
        flat.gradients_of_all.copy_(gradients)
        torch.cuda.set_rng_state(state, x.device)

    def replay(self, x: Tensor, y: Tensor) -> Tensor:
        """Pass one batch forward and backward; return its loss."""
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()
        return self.loss.clone()

"""Batches of any form: one tensor, several, or named ones; their target, and what a network takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nets.tasks import Task

#: Entries of a batch that are taken for its target, in this order.
TARGETS = ("labels", "label", "target", "targets", "y")


def forward(model: nn.Module, inputs: Any) -> Any:
    """Return what a network makes of inputs: model(x), model(*several), model(**named)."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs)


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Return the batch with every tensor in it replaced; what is none stays."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: mapped(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(mapped(function, item) for item in value)
    return value


def mapped_arrays(value: Any) -> Any:
    """Return the batch with arrays of numpy as tensors."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value) if value.dtype.kind in "fiub" else None
    if isinstance(value, Mapping):
        return {key: mapped_arrays(item) for key, item in value.items()}
    return tuple(map(mapped_arrays, value)) if isinstance(value, (list, tuple)) else value


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors(item)


def size(value: Any) -> int:
    """Return the number of samples: the length of the first tensor."""
    return len(next(tensors(value)))


def parts(value: Any, count: int) -> list[Any]:
    """Return the batch in `count` parts along its samples."""
    return [mapped(lambda x, i=i: x.tensor_split(count)[i], value) for i in range(count)]  # type: ignore[misc]


def split(batch: Any, task: Task) -> tuple[Any, Any]:
    """Return the inputs of a batch and its target.

    Of a pair the second is the target, of a longer tuple the last; of a dict the entry that the task names,
    or one of "labels", "label", "target", "targets", "y". A language model's target is the tokens themselves
    where there is no other; tokens that `attention_mask` covers do not count.

    Raises
    ------
    ValueError
        If there is no target.
    """
    own = getattr(task.loss, "own_target", None)
    if isinstance(batch, Mapping):
        for name in (task.target,) if task.target else TARGETS:
            if name in batch:
                return {key: value for key, value in batch.items() if key != name}, batch[name]
        if own is not None and "input_ids" in batch:
            tokens = batch["input_ids"]
            mask = batch.get("attention_mask")
            return dict(batch), tokens if mask is None else tokens.masked_fill(mask == 0, own)
        raise ValueError(
            f"a batch has the entries {', '.join(map(str, batch))}: which is the target? name it by "
            "nets.Task(..., target=...)"
        )
    if isinstance(batch, (list, tuple)) and len(batch) > 1:
        *inputs, target = batch
        return (inputs[0] if len(inputs) == 1 else tuple(inputs)), target
    if isinstance(batch, (list, tuple)) and len(batch) == 1:
        batch = batch[0]
    if own is not None and isinstance(batch, Tensor):
        return batch, batch
    raise ValueError(
        f"a batch of the task {task.name} is (inputs, ..., target) or a dict, got {type(batch).__name__}"
    )


def placed(value: Any, device: torch.device) -> Any:
    """Return the batch on a device, numbers of double precision as float32."""

    def place(x: Tensor) -> Tensor:
        x = x.to(device, non_blocking=True)
        return x.float() if x.dtype == torch.float64 else x

    return mapped(place, value)

"""Data that come batch by batch: loaders, torch data sets, endless streams, batches of any form."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from nets.data.batches import mapped, placed, size, split, tensors
from nets.data.dataset import PARTS, Dataset, part_size, stratified_split
from nets.seeds import derive
from nets.tasks import CLASSIFICATION, Task, named_task, regression

#: Samples in one batch of an evaluation, of parts that do not say.
BATCH = 256


class Stream:
    """Data read while a training runs: nothing is held in memory.

    Data sets that can be indexed, and loaders over them that shuffle or go in order, are read in an order
    that the seed of the training fixes, the same as for data in memory. Loaders with a sampler of their own
    are read as they come, torch's random numbers seeded anew for every pass.

    Parameters
    ----------
    train, test, validation : DataLoader, torch data set, or iterable of batches
        The parts. A batch is (inputs, target), (input, input, ..., target) or a dict; the network is called
        as ``model(inputs)``, ``model(*inputs)``, ``model(**inputs)``. Of a training part that can be
        indexed, a test part and a validation part are held out where they are missing.
    task : str or Task, optional
        What the targets mean; default: regression for floats, else classification.
    steps : int, optional
        Steps that count as an epoch; needed where the training part has no length.
    n_classes : int, optional
        Classes, or numbers that a network returns for a sample; for networks that ask for it. Default: what
        the data set's `classes` say.
    name : str
        Default: the name of the data set's class.
    seed : int
        Fixes which samples are held out.
    hold_out_validation, hold_out_test : int or float
        Samples, or their share, that are held out where a part is missing.
    device : str or torch.device
        Where batches are put.

    Raises
    ------
    ValueError
        If the training part has neither a length nor `steps`.
    """

    def __init__(
        self,
        train: Any,
        test: Any = None,
        validation: Any = None,
        *,
        task: str | Task | None = None,
        steps: int | None = None,
        n_classes: int | None = None,
        name: str = "",
        seed: int = 0,
        hold_out_validation: int | float = 0.1,
        hold_out_test: int | float = 0.2,
        device: str | torch.device = "cpu",
    ) -> None:
        self.task = CLASSIFICATION if task is None else named_task(task)
        self.device = torch.device(device)
        kept: list[int] | None = None
        held: dict[str, _Part | None] = {
            "test": None if test is None else _Part(test),
            "validation": None if validation is None else _Part(validation),
        }
        whole = _Part(train)
        if whole.dataset is not None:
            kept = list(range(len(whole.dataset)))
            for part, share in (("test", hold_out_test), ("validation", hold_out_validation)):
                if held[part] is None and share:
                    left, out = stratified_split(
                        [0] * len(kept), part_size(share, len(kept), f"hold_out_{part}"), seed
                    )
                    held[part] = _Part(train, [kept[i] for i in out])
                    kept = [kept[i] for i in left]
        self._train = _Part(train, kept)
        self._parts = {"train": self._train, **held}
        source = getattr(train, "dataset", train)
        self.name = name or type(source).__name__
        classes = getattr(source, "classes", None)
        self._n_classes = n_classes or (len(classes) if isinstance(classes, Sequence) else None)
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps!r}")
        if steps is None and self._train.length(BATCH) is None:
            raise ValueError(
                f"{self.name} has no length: say how many steps are an epoch, "
                "nets.data.Stream(train, test, steps=...)"
            )
        self._steps = steps
        self._running: tuple[int, int, int, Iterator[Any]] | None = None
        self._example: Any = None
        if task is None:
            target = split(self._raw_first(), self.task)[1]
            if isinstance(target, torch.Tensor) and target.is_floating_point():
                self.task = regression()

    @property
    def n_classes(self) -> int:
        """Number of classes; of numbers that a network returns for a sample.

        Raises
        ------
        ValueError
            If nobody said it.
        """
        if self._n_classes is None:
            raise ValueError(
                f"{self.name} does not say how many classes (or outputs) there are, and this network asks "
                "for "
                "it: give nets.data.Stream(..., n_classes=...), or a network"
            )
        return self._n_classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input; of several the first's."""
        return tuple(next(tensors(self.example(1))).shape[1:])

    @property
    def n_train(self) -> int:
        """Samples that count as an epoch: those of a pass, or of the steps that were given."""
        train = self._train
        if self._steps is None and train.index is not None:
            return len(train.index)
        steps = self._steps or train.length(BATCH)
        assert steps is not None
        return steps * (train.batch_size or size(self._first()[1]))

    def has(self, part: str) -> bool:
        """Tell whether there is such a part."""
        return self._parts[part] is not None

    def to(self, device: str | torch.device) -> Stream:
        """Let batches be put on a device, in place."""
        self.device = torch.device(device)
        return self

    def fits(self, batch_size: int) -> int:
        """Return the batch size of a training that asks for `batch_size`: a loader has its own."""
        train = self._train
        found = train.batch_size or batch_size
        return min(found, len(train.index)) if train.index is not None else found

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the steps of an epoch."""
        found = self._steps or self._train.length(batch_size)
        assert found is not None
        return found

    def batches(
        self, batch_size: int, *, seed: int, step: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (inputs, target) of the epoch that `step` lies in, from that step on."""
        left = self.steps_per_epoch(batch_size)
        left -= step % left
        if self._running is None or self._running[:3] != (seed, step, batch_size):
            self._running = seed, step, batch_size, self._train.endless(batch_size, seed, step)
        endless = self._running[3]
        for _ in range(left):
            step += 1
            batch = next(endless)
            self._running = seed, step, batch_size, endless
            yield self._ready(batch)

    def part_batches(self, part: str) -> Iterator[tuple[Any, Any]]:
        """Yield all (inputs, target) of "train", "validation" or "test", in order, the same every time."""
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}; choose one of {', '.join(PARTS)}")
        source = self._parts[part]
        if source is None:
            return
        batches = source.once(BATCH)
        for number in itertools.count():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(0, "evaluation", number))
                batch = next(batches, None)
            if batch is None:
                return
            yield self._ready(batch)

    def draw(
        self, samples: int, generator: torch.Generator | None = None, chunk: int = 256
    ) -> Iterator[tuple[Any, Any]]:
        """Yield training samples, drawn by the generator; of what cannot be indexed the first of a pass."""
        train = self._train
        found: Iterator[Any]
        if train.dataset is not None and train.index is not None:
            n = len(train.index)
            order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
            found = train.at([train.index[i] for i in order[:samples].tolist()], chunk)
        else:
            found = train.once(chunk)
        left = samples
        for number in itertools.count():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(0, "draw", number))
                batch = next(found, None) if left > 0 else None
            if batch is None:
                return
            inputs, target = self._ready(batch)
            if size(target) > left:
                inputs, target = (mapped(lambda x, n=left: x[:n], v) for v in (inputs, target))  # type: ignore[misc]
            left -= size(target)
            yield inputs, target

    def example(self, n: int) -> Any:
        """Return the inputs of the first n samples, or fewer: what a network is tried on."""
        return mapped(lambda x: x[:n].to(self.device), self._first()[0])

    def example_target(self, n: int) -> Any:
        """Return their targets."""
        return mapped(lambda x: x[:n].to(self.device), self._first()[1])

    def _first(self) -> tuple[Any, Any]:
        return self._ready(self._raw_first())

    def _raw_first(self) -> Any:
        """Return the first batch of the training part, as it comes."""
        if self._example is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                index = self._train.index
                source = self._train.once(4) if index is None else self._train.at(index[:4], 4)
                self._example = next(source, None)
            if self._example is None:
                raise ValueError(f"the training part of {self.name} yields nothing")
        return self._example

    def _ready(self, batch: Any) -> tuple[Any, Any]:
        inputs, target = split(placed(batch, self.device), self.task)
        if self.task.targets in ("classes", "integers") and isinstance(target, torch.Tensor):
            if target.is_floating_point():
                raise ValueError(
                    f"targets are floats, which the task {self.task.name} cannot have: name the task, e.g. "
                    "task='regression'"
                )
            target = target.long()
        return inputs, target

    def fingerprint(self) -> str:
        """Return a sha256 of what the data are, as far as it can be told without reading all of them.

        Names, lengths, and the first samples of every part.
        """
        digest = hashlib.sha256()
        for part in PARTS:
            source = self._parts[part]
            if source is None:
                continue
            digest.update(f"{part}:{source.label};".encode())
            for inputs, target in itertools.islice(self.part_batches(part), 1):
                for x in tensors((inputs, target)):
                    array = x.detach().cpu().contiguous()
                    digest.update(f"{array.dtype}{tuple(array.shape)}".encode())
                    digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class _Part:
    """One part, read in an order that a seed fixes where it can be indexed, else as it comes."""

    def __init__(self, source: Any, index: list[int] | None = None) -> None:
        self.source = source
        self.dataset: Any = None
        self.index = index
        self.shuffles = True
        self.batch_size: int | None = None
        self._keeps_last = False
        self._loader: dict[str, Any] = {}
        if isinstance(source, DataLoader):
            self.batch_size = source.batch_size
            if _is_plain(source):
                self.dataset = source.dataset
                self.shuffles = isinstance(source.sampler, RandomSampler)
                self._keeps_last = not source.drop_last
                self._loader = {
                    name: getattr(source, name)
                    for name in ("collate_fn", "num_workers", "pin_memory", "timeout", "worker_init_fn")
                }
        elif isinstance(source, torch.utils.data.Dataset) and not isinstance(source, IterableDataset):
            self.dataset = source
        elif isinstance(source, torch.utils.data.Dataset):
            self.source = DataLoader(source, batch_size=None)
        elif not isinstance(source, Iterable) or isinstance(source, Iterator):
            raise TypeError(
                "a part of a stream is a DataLoader, a torch data set or something that yields batches "
                "whenever it "
                f"is iterated, got {type(source).__name__}"
            )
        if self.dataset is not None and index is None:
            self.index = list(range(len(self.dataset)))

    @property
    def label(self) -> str:
        """What it is, the same in every process."""
        kind = type(self.dataset if self.dataset is not None else self.source)
        return f"{kind.__module__}.{kind.__qualname__} {self.length(BATCH)}"

    def length(self, batch_size: int) -> int | None:
        """Return the batches of a pass, None where nobody knows."""
        if self.index is not None:
            size = min(self.batch_size or batch_size, len(self.index))
            return math.ceil(len(self.index) / size) if self._keeps_last else len(self.index) // max(1, size)
        try:
            return len(self.source)
        except TypeError:
            return None

    def endless(self, batch_size: int, seed: int, place: int) -> Iterator[Any]:
        """Yield the batches from number `place` on, pass after pass."""
        length = self.length(batch_size)
        number, skip = divmod(place, length) if length else (0, place)
        while True:
            count = 0
            for batch in self._pass(batch_size, seed, number, skip):
                count += 1
                yield batch
            skip = 0 if length else max(0, skip - self._skipped)
            if not count and not skip and not self._skipped:
                raise ValueError("the training part yields nothing")
            number += 1

    _skipped = 0

    def _pass(self, batch_size: int, seed: int, number: int, skip: int) -> Iterator[Any]:
        self._skipped = 0
        if self.index is not None:
            n, size = len(self.index), min(self.batch_size or batch_size, len(self.index))
            generator = torch.Generator().manual_seed(derive(seed, "order", number))
            order = torch.randperm(n, generator=generator) if self.shuffles else torch.arange(n)
            end = n if self._keeps_last else n // size * size
            # With workers, what each of them draws at random depends on the batches before.
            early = skip if self._loader.get("num_workers") else 0
            begin = 0 if early else skip * size
            chosen = [self.index[i] for i in order[begin:end].tolist()]
            self._skipped = skip
            yield from itertools.islice(self.at(chosen, size, derive(seed, "workers", number)), early, None)
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "order", number))
            batches = iter(self.source)
            for _ in range(skip):
                if next(batches, None) is None:
                    return
                self._skipped += 1
            first = None if skip else next(batches, None)
        if first is not None:
            yield first
        yield from batches

    def once(self, batch_size: int) -> Iterator[Any]:
        """Yield the batches of one pass, in order where it can be indexed."""
        if self.index is None:
            yield from self.source
        else:
            yield from self.at(self.index, self.batch_size or batch_size)

    def at(self, index: Sequence[int], size: int, seed: int = 0) -> Iterator[Any]:
        """Yield the samples of these places, collated."""
        batches = [list(index[i : i + size]) for i in range(0, len(index), size)]
        generator = torch.Generator().manual_seed(seed)
        yield from DataLoader(self.dataset, batch_sampler=batches, generator=generator, **self._loader)


def _is_plain(loader: DataLoader[Any]) -> bool:
    """Tell whether a loader shuffles its data set, or goes through it in order, and nothing else."""
    sampler = loader.sampler
    shuffles = type(sampler) is RandomSampler and not sampler.replacement and sampler._num_samples is None
    return (
        not isinstance(loader.dataset, IterableDataset)
        and loader.batch_size is not None
        and type(loader.batch_sampler) is BatchSampler
        and (shuffles or type(sampler) is SequentialSampler)
        and hasattr(loader.dataset, "__len__")
    )


def is_streamed(spec: object) -> bool:
    """Tell whether something is, or consists of, loaders and torch data sets."""
    kinds = (DataLoader, torch.utils.data.Dataset)
    if isinstance(spec, (tuple, list)):
        return len(spec) in (1, 2, 3) and all(isinstance(part, kinds) for part in spec)
    return isinstance(spec, kinds)


def collates(samples: torch.utils.data.Dataset[Any]) -> bool:
    """Tell whether torch makes batches of the samples of a data set, and their targets are numbers."""
    try:
        count = min(len(samples), 8)  # type: ignore[arg-type]
        some = [samples[k] for k in range(count)]
        if not some or not isinstance(some[0], (Mapping, tuple, list, torch.Tensor)):
            return False
        batch = default_collate(some)
    except (TypeError, ValueError, RuntimeError, KeyError, IndexError):
        return False
    last = batch[-1] if isinstance(batch, (tuple, list)) else batch
    return any(True for _ in tensors(last))


AnyData = Dataset | Stream

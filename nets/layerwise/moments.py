"""Second moments of a layer's inputs and outputs, streamed from calibration data; no activation is kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nets import data as nets_data
from nets.data.batches import TARGETS
from nets.layerwise.sites import Call, Site

#: Numbers that the patches of a convolution take up at most at a time.
CHUNK = 1 << 24

#: Training samples that are drawn from a data set of ours.
SAMPLES = 1000

#: Share of the mean square below which a variance is rounding error, products being in single precision.
ROUNDING = 1e-6


@dataclass(eq=False)
class InputMoments:
    """Sums over the inputs x of one or several matrices, in double precision.

    Parameters
    ----------
    gram : Tensor
        Sum of x x', shape (groups, d, d).
    total : Tensor
        Sum of x, shape (groups, d).
    count : int
        Number of inputs n.
    """

    gram: Tensor
    total: Tensor
    count: int = 0


@dataclass(eq=False)
class SiteMoments:
    """What a layer's problem is made of: moments of its inputs x and of its wanted outputs y.

    Parameters
    ----------
    inputs : InputMoments
        Shared by the matrices that are applied to the same inputs.
    cross : Tensor
        Sum of y x', shape (groups, out, d).
    total, squares : Tensor
        Sums of y and of y^2, shape (groups, out).
    """

    inputs: InputMoments
    cross: Tensor
    total: Tensor
    squares: Tensor

    def means(self, centred: bool) -> tuple[NDArray[np.float64], ...]:
        """Return X'X / n, Y'X / n, the means of y^2, and the means of x and of y, per group.

        Centred ones are about the means, for a layer whose bias is fitted; the means are zero otherwise.
        """
        n = self.inputs.count
        gram, cross = self.inputs.gram / n, self.cross / n
        squares, x, y = self.squares / n, self.inputs.total / n, self.total / n
        if centred:
            raw = gram.diagonal(dim1=1, dim2=2).clone()
            gram = gram - x[:, :, None] * x[:, None, :]
            cross = cross - y[:, :, None] * x[:, None, :]
            squares = squares - y * y
            # Inputs that never differ (behind units that are dead) leave rounding errors alone.
            moving = (gram.diagonal(dim1=1, dim2=2) > ROUNDING * raw).to(gram.dtype)
            gram = gram * moving[:, :, None] * moving[:, None, :]
            cross = cross * moving[:, None, :]
        else:
            x, y = torch.zeros_like(x), torch.zeros_like(y)
        return tuple(t.cpu().numpy() for t in (gram, cross, squares.clamp_min(0.0), x, y))


@dataclass(frozen=True)
class Calibration:
    """Batches that a network is run on, as often as they are asked for.

    Parameters
    ----------
    batches : iterable
        Tensors, tuples or lists (as many entries as the network requires are passed, so that labels behind
        the inputs are left out), or mappings of named inputs.
    precision : torch.dtype
        In which the products of a batch are formed; their sums are always in double precision.
    """

    batches: Iterable[Any]
    precision: torch.dtype = torch.float32

    @classmethod
    def of(cls, data: Any, precision: torch.dtype = torch.float32, batch_size: int = 256) -> Calibration:
        """Take any iterable of batches, an iterator read once; data in one piece are cut into batches.

        In one piece are a tensor or array, a tuple (x, ..., y) or a mapping of them, and a torch data set. Of
        a data set of `nets.data` 1,000 training samples are drawn.
        """
        if isinstance(data, Calibration):
            return data
        if isinstance(data, nets_data.Dataset | nets_data.Stream):
            drawn = data.draw(SAMPLES, torch.Generator().manual_seed(0), SAMPLES // 10)
            return cls([x for x, _ in drawn], precision)
        data = _arrays(data)
        size = _samples(data)
        if size is not None:
            if size == 0:
                raise ValueError("there are no calibration data: it holds no sample")
            step = max(1, min(batch_size, -(-size // 10)))
            whole, starts = data, range(0, size, step)
            data = [_mapped(lambda t, i=i: t[i : i + step], whole) for i in starts]  # type: ignore[misc]
        elif isinstance(data, Dataset) and not isinstance(data, IterableDataset):
            data = DataLoader(data, batch_size=batch_size)
        if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
            raise TypeError(
                f"calibration must be an iterable of batches (tensors, tuples, mappings), got "
                f"{type(data).__name__}"
            )
        if iter(data) is data:  # an iterator: it would be empty the second time
            data = list(data)
        return cls(data, precision)

    def split(self, every: int = 5) -> tuple[Calibration, Calibration | None]:
        """Return the batches to fit on and those held out, every fifth; None if there are fewer than five."""
        size = len(self.batches) if isinstance(self.batches, Sized) else sum(1 for _ in self.batches)
        if size < every:
            return self, None
        fit = _Every(self.batches, lambda i: i % every != every - 1)
        return Calibration(fit, self.precision), Calibration(
            _Every(self.batches, lambda i: i % every == every - 1), self.precision
        )

    def calls(self, model: nn.Module) -> Iterator[tuple[Call, Tensor | None]]:
        """Yield the arguments of every call of the network, and which tokens of a padded batch count."""
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        required = _required(model)
        taken = inspect.signature(model.forward).parameters
        some = any(p.kind == inspect.Parameter.VAR_KEYWORD for p in taken.values())
        dtypes = {p.dtype for p in model.parameters() if p.is_floating_point()}
        single = dtypes.pop() if len(dtypes) == 1 else None
        for batch in self.batches:
            moved = _to(batch, device)
            _refuse_without_tensors(moved)
            if single is not None:
                moved = _mapped(lambda t: t.to(single) if t.is_floating_point() else t, moved)
            if isinstance(moved, Mapping):
                mask = moved.get("attention_mask")
                valid = mask.bool() if isinstance(mask, Tensor) and mask.dim() == 2 else None
                named = {n: v for n, v in moved.items() if some or n in taken or n not in TARGETS}
                yield ((), named), valid
            elif isinstance(moved, tuple | list):
                yield (tuple(moved[:required]), {}), None
            else:
                yield ((moved,), {}), None


@dataclass(frozen=True)
class _Every:
    """Some of the batches, by their number."""

    batches: Iterable[Any]
    chosen: Callable[[int], bool]

    def __iter__(self) -> Iterator[Any]:
        return (batch for i, batch in enumerate(self.batches) if self.chosen(i))


def _arrays(data: Any) -> Any:
    """Return data in one piece as tensors; anything else as it is."""
    if isinstance(data, np.ndarray):
        return torch.from_numpy(data)
    if type(data) is tuple:
        return tuple(map(_arrays, data))
    return {name: _arrays(value) for name, value in data.items()} if isinstance(data, Mapping) else data


def _samples(data: Any) -> int | None:
    """Return how many samples data in one piece hold; None if they are batches."""
    if isinstance(data, Tensor):
        return len(data)
    parts = list(data.values()) if isinstance(data, Mapping) else data if type(data) is tuple else []
    if not parts or not all(isinstance(t, Tensor) and t.dim() for t in parts):
        return None
    sizes = {len(t) for t in parts}
    # A tuple of tensors all alike is one of batches.
    alike = not isinstance(data, Mapping) and len({(t.shape[1:], t.dtype) for t in parts}) == 1
    return None if alike or len(sizes) > 1 else sizes.pop()


def _required(model: nn.Module) -> int:
    """Return how many inputs the network requires."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    return max(1, sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters))


def _to(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, np.ndarray):
        return torch.from_numpy(batch).to(device)
    if isinstance(batch, Mapping):
        return {str(name): _to(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(_to(value, device) for value in batch) if type(batch) in (tuple, list) else batch
    return batch.to(device) if hasattr(batch, "to") else batch


def _refuse_without_tensors(batch: Any) -> None:
    """Raise TypeError if a batch holds no tensor at all, as a list of lists of numbers."""
    found: list[Tensor] = []
    _mapped(lambda tensor: found.append(tensor) or tensor, batch)  # type: ignore[func-returns-value]
    if not found and isinstance(batch, list | tuple | dict | str | int | float | None):
        shown = repr(batch)
        shown = shown if len(shown) < 40 else f"{shown[:40]}..."
        raise TypeError(
            f"a batch of the calibration data holds no tensor, got {shown}: turn numbers into tensors, "
            "one batch each, by torch.tensor(...)"
        )


def run_on(model: nn.Module, call: Call) -> Any:
    """Return the network's output on a copy of its inputs, which it may change in place."""
    args, named = _mapped(torch.clone, call)
    return model(*args, **named)


def _mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return what a module takes or gives with its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data))
    if type(value) is dict:
        return {name: _mapped(change, one) for name, one in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_mapped(change, one) for one in value)
    return value


class Enough(Exception):
    """Ends a forward pass when all that was wanted has been seen."""


@dataclass
class Listener:
    """Hooks that note what the modules of some sites are called with, in one forward pass.

    Parameters
    ----------
    model : Module
        The network.
    sites : sequence of Site
        Whose modules are listened to.
    calls : int, optional
        Ends the pass after so many calls of them.
    """

    model: nn.Module
    sites: Sequence[Site]
    calls: int | None = None
    heard: list[tuple[str, nn.Module, Call, Any]] = field(default_factory=list)
    _copies: bool = False
    _versions: list[tuple[Tensor, int]] = field(default_factory=list)
    _known: dict[tuple[int, int], tuple[Tensor, Tensor]] = field(default_factory=dict)

    @cached_property
    def by_path(self) -> dict[str, list[Site]]:
        """The sites that each module serves, by its path."""
        found: dict[str, list[Site]] = {}
        for site in self.sites:
            for path in (site.module, *site.ties):
                found.setdefault(path, []).append(site)
        return found

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        modules = dict(self.model.named_modules())

        def hook(path: str) -> Callable[..., None]:
            def note(module: nn.Module, args: Any, named: dict[str, Any], output: Any) -> None:
                args, named, output = _mapped(
                    self._copied if self._copies else self._noted, (args, named, output)
                )
                self.heard.append((path, module, (args, named), output))
                if self.calls is not None and len(self.heard) >= self.calls:
                    raise Enough

            return note

        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # it would not call the modules
        with ExitStack() as stack:
            stack.callback(torch.backends.mha.set_fastpath_enabled, fused)
            for path in self.by_path:
                handle = modules[path].register_forward_hook(hook(path), with_kwargs=True)
                stack.callback(handle.remove)
            yield

    def run(self, call: Call) -> Any:
        """Run the network once; return its output, or None where the pass was ended.

        A network that changes in place what its modules took or gave is run again, and they are copied.
        """
        self.heard, self._versions = [], []
        output = None
        with self._hooks(), suppress(Enough):
            output = run_on(self.model, call)
        changed = any(tensor._version != version for tensor, version in self._versions)
        self._versions, self._known = [], {}
        if changed and not self._copies:
            self._copies = True
            return self.run(call)
        return output

    def _noted(self, tensor: Tensor) -> Tensor:
        if tensor.is_inference():  # keeps no count of its changes
            return tensor.clone()
        self._versions.append((tensor, tensor._version))
        return tensor

    def _copied(self, tensor: Tensor) -> Tensor:
        """Return a copy, the same one of the same tensor as long as it is unchanged."""
        if tensor.is_inference():
            return tensor.clone()
        key = id(tensor), tensor._version
        if key not in self._known:
            self._known[key] = tensor, tensor.clone()
        return self._known[key][1]


def outputs_of(site: Site, module: nn.Module, call: Call, output: Any, weight: Tensor) -> Tensor:
    """Return what a site's matrix puts out without its bias, shape (n, groups * out)."""
    if site.kind in ("linear", "conv1d"):
        y = output.reshape(-1, output.shape[-1])
    elif site.kind == "convolution":
        y = output.movedim(-len(module.kernel_size) - 1, -1)  # type: ignore[arg-type]
        y = y.reshape(-1, y.shape[-1])
    else:
        x = site.inputs(module, call)
        made: Tensor = x.reshape(-1, x.shape[-1]) @ site.matrix(weight)[0].T
        return made
    bias = getattr(module, "bias", None)
    plain: Tensor = y if bias is None else y - bias
    return plain


@torch.no_grad()
def gather(
    dense: nn.Module,
    pruned: nn.Module,
    sites: Sequence[Site],
    calibration: Calibration,
    calls: int | None = None,
) -> dict[str, SiteMoments]:
    """Return the moments of some sites, in one pass: inputs from one network, wanted outputs from another.

    Parameters
    ----------
    dense, pruned : Module
        The networks, in evaluation mode; they may be the same one.
    sites : sequence of Site
        Whose moments are wanted.
    calibration : Calibration
        The data.
    calls : int, optional
        How many calls of the sites' modules one pass makes, if that is known: it ends there.

    Returns
    -------
    dict
        By name of the site.

    Raises
    ------
    ValueError
        If there are no data, or a layer sees none, or sees NaN or infinity.
    """
    moments: dict[str, SiteMoments] = {}
    weights = dict(dense.named_parameters())
    wanted, met = Listener(dense, sites, calls), Listener(pruned, sites, calls)
    empty = True
    for call, valid in calibration.calls(dense):
        empty = False
        wanted.run(call)
        if pruned is dense:
            met.heard = wanted.heard
        else:
            met.run(call)
        fresh: dict[tuple[Any, ...], tuple[Tensor, InputMoments]] = {}
        for (path, old, old_call, output), (other, new, new_call, _) in zip(wanted.heard, met.heard):
            assert path == other
            for site in wanted.by_path[path]:
                y = outputs_of(site, old, old_call, output, weights[site.parameter])
                x = site.inputs(new, new_call)
                _add(moments, fresh, site, new, x, y, valid, calibration.precision)
        wanted.heard, met.heard = [], []
    if empty:
        raise ValueError("there are no calibration data: calibration yields no batch")
    for site in sites:
        if site.name not in moments or moments[site.name].inputs.count == 0:
            raise ValueError(
                f"{site.module} never saw data: no calibration batch reaches it; exclude {site.parameter!r}"
            )
        found = moments[site.name]
        if not (torch.isfinite(found.inputs.gram).all() and torch.isfinite(found.squares).all()):
            raise ValueError(
                f"the inputs or outputs of {site.module} are NaN or infinite on the calibration data: look "
                "at the data, or at the layers before it"
            )
    return moments


def _add(
    moments: dict[str, SiteMoments],
    fresh: dict[tuple[Any, ...], tuple[Tensor, InputMoments]],
    site: Site,
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    valid: Tensor | None,
    precision: torch.dtype,
) -> None:
    """Add the inputs and outputs of one call; matrices that meet the very same tensor share its sums."""
    key = (id(x), *_form(site, module))
    raw = x
    if valid is not None and x.dim() == 3 and x.shape[:2] == valid.shape and site.kind != "convolution":
        keep = valid.reshape(-1)
        x, y = x.reshape(-1, x.shape[-1])[keep], y[keep]
    parts = _parts(site, module, x, y)
    own = moments.get(site.name)
    if own is None:
        first = site.spread(module, parts[0][0])
        groups, _, d = first.shape
        out = y.shape[-1] // groups

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=x.device)

        shared = fresh[key][1] if key in fresh else InputMoments(zeros(groups, d, d), zeros(groups, d))
        own = SiteMoments(shared, zeros(groups, out, d), zeros(groups, out), zeros(groups, out))
        moments[site.name] = own
    # The tensor is held until the pass ends, so that no other can take its place in memory.
    known = fresh.get(key)
    is_new = known is None or known[1] is not own.inputs
    fresh[key] = (raw, own.inputs)
    for a, b in parts:
        inputs = site.spread(module, a).to(precision)
        outputs = b.reshape(len(b), inputs.shape[0], -1).transpose(0, 1).to(precision)
        if is_new:
            own.inputs.gram += inputs.transpose(1, 2) @ inputs
            own.inputs.total += inputs.sum(1, dtype=torch.float64)
            own.inputs.count += inputs.shape[1]
        own.cross += outputs.transpose(1, 2) @ inputs
        own.total += outputs.sum(1, dtype=torch.float64)
        own.squares += outputs.square().sum(1, dtype=torch.float64)


def _parts(site: Site, module: nn.Module, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Cut inputs and outputs alike, so that the patches of a convolution stay small."""
    if site.kind != "convolution":
        return [(x, y)]
    samples = len(x) if x.dim() == len(module.kernel_size) + 2 else 1  # type: ignore[arg-type]
    if samples == 1:
        return [(x, y)]
    weight = module.weight
    assert isinstance(weight, Tensor)
    patch = weight[0].numel() * site.groups * (len(y) // samples)
    size = max(1, CHUNK // patch)
    return list(zip(torch.split(x, size), torch.split(y, size * (len(y) // samples))))


def _form(site: Site, module: nn.Module) -> tuple[Any, ...]:
    if site.kind != "convolution":
        return (site.kind == "attended" or site.kind == "state",)
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode", "groups")
    return tuple(getattr(module, name) for name in names)

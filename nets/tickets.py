"""The ticket: which weights a sparse network keeps, and the values they are rewound to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nets.masking import parametrization
from nets.masking.layout import Layout, copied, refuse_pruned, tied, unwrapped
from nets.storage import packed, tensor_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nets.layerwise.certificate import Certificate
    from nets.masking.steps import Hold

FORMAT = "concave-sparsity ticket"

#: How the names of floats in a state end that are no parameters.
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True, eq=False)
class Ticket:
    """A sparse network to be trained: binary masks and the weights to start from.

    Parameters
    ----------
    masks : mapping of str to Tensor
        Boolean, by parameter name, shaped like the parameters: True where a weight is kept.
    weights : mapping of str to Tensor
        State of the whole network (`state_dict`) that the ticket is rewound to.
    metadata : mapping
        Plain values: method, penalty, density asked for, seed, cost of the search, what the search reported.
    trace : mapping of str to sequence of float
        Curves of the search, e.g. lam at every update of the mask; "entries": histogram of the relaxed mask
        just before the cut, counts in 20 equal bins over [0, 1].
    whole : bool
        Whether `weights` holds the values of pruned weights too. A ticket read from a file has zeros there,
        unless it was saved whole.
    """

    masks: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Sequence[float]] = field(default_factory=dict)
    seconds: float = 0.0
    whole: bool = True

    def __post_init__(self) -> None:
        if not self.masks:
            raise ValueError("a ticket needs at least one mask")
        for name, mask in self.masks.items():
            if mask.dtype != torch.bool:
                raise TypeError(f"the mask of {name} must be boolean, got {mask.dtype}")
            if name not in self.weights:
                raise ValueError(f"the mask of {name} has no weight to go with it")
            if self.weights[name].shape != mask.shape:
                raise ValueError(
                    f"the mask of {name} has shape {tuple(mask.shape)}, "
                    f"its weight {tuple(self.weights[name].shape)}"
                )

    def __repr__(self) -> str:
        where = self.metadata.get("data")
        method = str(self.metadata.get("method", "unknown"))
        penalty = str(self.metadata.get("penalty") or "")
        layers = self.layer_densities
        thin, thick = (end(layers, key=lambda name: layers[name]) for end in (min, max))
        span = f"from {100 * layers[thin]:.3g}% of {thin} to {100 * layers[thick]:.3g}% of {thick}"
        if layers[thin] == layers[thick]:
            span = f"{100 * layers[thin]:.3g}% of {thin}" + " and of every other" * (len(layers) > 1)
        cost = self.metadata.get("search_epochs", self.metadata.get("epochs"))
        lines = [
            f"Ticket: {self.kept:,} of {self.total:,} maskable weights ({100 * self.density:.3g}%), "
            f"{100 * self.network_density:.3g}% of the network",
            f"  found by {method}" + (f", {penalty}" if penalty else ""),
            f"  network {self.metadata.get('model', 'unknown')}"
            + (f" on {where}" if where else "")
            + (f", seed {self.metadata['seed']}" if "seed" in self.metadata else "")
            + (f", search of {float(cost):g} epochs" if isinstance(cost, (int, float)) else ""),
            f"  {len(layers)} masked layer{'s' * (len(layers) > 1)}: {span}",
            "  next: nets.retrain(ticket, model, data), ticket.hold(model, optimiser), ticket.save(path)",
        ]
        return "\n".join(lines)

    def plot(self, axes: Sequence[Axes] | None = None) -> list[Axes]:
        """Draw the share that each layer keeps and, of a ticket just found, how its relaxed mask ended there.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            Where to draw: one for the layers, two for the search besides, three for the histogram of the
            mask before the cut; default: new ones.

        Returns
        -------
        list of Axes
            The layers; and where the ticket has the curves of a relaxed mask (`trace`), the search and the
            histogram of the mask before the cut.
        """
        from nets.analysis.pictures import draw_ticket

        return draw_ticket(self, axes)

    @property
    def kept(self) -> int:
        """Number of maskable weights kept."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    @property
    def total(self) -> int:
        """Number of maskable weights."""
        return sum(mask.numel() for mask in self.masks.values())

    @property
    def density(self) -> float:
        """Share of the maskable weights kept: kept / total."""
        return self.kept / self.total

    @property
    def layer_densities(self) -> dict[str, float]:
        """Share kept of each masked tensor, by name."""
        return {name: int(mask.sum()) / mask.numel() for name, mask in self.masks.items()}

    @property
    def certificate(self) -> Certificate | None:
        """What is known of a network that `nets.prune` pruned; None of a ticket from elsewhere."""
        from nets.layerwise.certificate import Certificate

        found = self.metadata.get("certificate")
        return None if found is None else Certificate.from_dict(found)

    @property
    def network_density(self) -> float:
        """Share kept of all parameters of the network, those outside the masks too."""
        twins = self._twins()
        every = sum(
            tensor.numel()
            for name, tensor in self.weights.items()
            if name not in twins and tensor.is_floating_point() and not name.endswith(_STATISTICS)
        )
        every = int(self.metadata.get("parameters", every))
        return (every - self.total + self.kept) / every

    def renamed(self, names: Mapping[str, str] | Callable[[str], str]) -> Ticket:
        """Return the ticket for a network whose parameters have other names.

        Parameters
        ----------
        names : mapping or callable
            New name by the old one: whole names, or beginnings up to a dot such as "encoder" to
            "backbone.encoder"; names that a mapping lacks stay.
        """

        def new(name: str) -> str:
            return _renamed(name, names)

        return replace(
            self,
            masks={new(name): mask for name, mask in self.masks.items()},
            weights={new(name): tensor for name, tensor in self.weights.items()},
        )

    def apply(
        self,
        model: nn.Module,
        *,
        rename: Mapping[str, str] | Callable[[str], str] | None = None,
        strict: bool = True,
    ) -> nn.Module:
        """Write the ticket into a network, in place: rewound weights, exact zeros where they are pruned.

        The network stays a plain one: nothing is attached, its `state_dict` has the usual names. To keep
        pruned weights at zero while training with a loop of your own, use `hold` or `attach`.

        Parameters
        ----------
        model : Module
            A network of the architecture that the ticket was found for, compiled or wrapped or not.
        rename : mapping or callable, optional
            Names in the network by those in the ticket; see `renamed`.
        strict : bool
            False leaves alone what only one of the two has, or has in another shape: a changed head.

        Returns
        -------
        Module
            `model`.

        Raises
        ------
        ValueError
            If the network has other parameters or shapes, or masks of `torch.nn.utils.prune`; it is then left
            unchanged.
        """
        if rename is not None:
            return self.renamed(rename).apply(model, strict=strict)
        inner = unwrapped(model)
        refuse_pruned(inner)
        own = inner.state_dict()
        behind = {_bare(name): name for name in own}  # parts may be compiled or wrapped on their own
        moved = {n: behind[_bare(n)] for n in self.weights if n not in own and _bare(n) in behind}
        if moved:
            return self.renamed(lambda name: moved.get(name, name)).apply(model, strict=strict)
        state = self.masked_weights()
        names = tied(inner)
        for name in state:  # whatever name a tied weight goes by
            for masked, mask in self.masks.items():
                if name != masked and names.get(name) is not None and names[name] == names.get(masked):
                    state[name] = torch.where(mask, state[name], 0)
        if not strict:
            state = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
            if not self.masks.keys() & state.keys():
                raise ValueError(
                    f"no mask of this ticket fits {type(inner).__name__}: it masks {', '.join(self.masks)}"
                )
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if strict and (missing or unknown):
            raise ValueError(
                f"this ticket is for another network: {type(inner).__name__} "
                + "; ".join(
                    f"{text} {', '.join(names[:5])}"
                    for text, names in (("lacks", unknown), ("has besides", missing))
                    if names
                )
            )
        for name, tensor in state.items():
            if tensor.shape != own[name].shape:
                raise ValueError(
                    f"this ticket is for another network: {name} has shape {tuple(own[name].shape)}, "
                    f"the ticket's {tuple(tensor.shape)}"
                )
        inner.load_state_dict(state, strict=strict)
        return model

    def attach(self, model: nn.Module, *, strict: bool = True) -> nn.Module:
        """Write the ticket into a network and attach its masks by `torch.nn.utils.parametrize`, in place.

        Pruned weights then stay exactly zero under any training loop; `nets.make_permanent` takes the masks
        off again.
        """
        self.apply(model, strict=strict)
        return parametrization.attach(model, self._fitting(model, strict))

    def _fitting(self, model: nn.Module, strict: bool) -> Mapping[str, Tensor]:
        """Return the masks, or those that fit the network."""
        if strict:
            return self.masks
        shapes = {n: p.shape for n, p in unwrapped(model).named_parameters(remove_duplicate=False)}
        return {name: mask for name, mask in self.masks.items() if shapes.get(name) == mask.shape}

    @classmethod
    def from_pruned(cls, model: nn.Module) -> Ticket:
        """Return the ticket of a network that carries masks of `torch.nn.utils.prune`; it is left as it is.

        Raises
        ------
        ValueError
            If it carries none.
        """
        inner = unwrapped(model)
        masks: dict[str, Tensor] = {}
        state = {name: tensor.detach().cpu().clone() for name, tensor in inner.state_dict().items()}
        for path, module in inner.named_modules():
            for buffer in list(module._buffers):
                tensor = buffer.removesuffix("_mask")
                if tensor == buffer or f"{tensor}_orig" not in module._parameters:
                    continue
                prefix = f"{path}." if path else ""
                masks[f"{prefix}{tensor}"] = state.pop(f"{prefix}{buffer}") != 0
                state[f"{prefix}{tensor}"] = state.pop(f"{prefix}{tensor}_orig")
        if not masks:
            raise ValueError(f"{type(inner).__name__} carries no mask of torch.nn.utils.prune")
        return cls(masks, state, {"method": "torch.nn.utils.prune", "model": type(inner).__name__})

    def to_pruned(self, model: nn.Module) -> nn.Module:
        """Write the ticket into a network as masks of `torch.nn.utils.prune`, in place.

        Raises
        ------
        ValueError
            If the network has other parameters or shapes; it is then left unchanged.
        """
        from torch.nn.utils.prune import custom_from_mask

        inner = unwrapped(self.apply(model))
        for name, mask in self.masks.items():
            path, _, tensor = name.rpartition(".")
            module = inner.get_submodule(path)
            weight = getattr(module, tensor)
            custom_from_mask(module, tensor, mask.to(weight.device))  # type: ignore[no-untyped-call]
        return model

    def masked(self, model: nn.Module) -> nn.Module:
        """Return a plain copy of a network of any weights, trained or not, with exact zeros where pruned.

        Parameters
        ----------
        model : Module
            A network of the architecture that the ticket was found for, masked by `attach` or not; left as it
            is.

        Raises
        ------
        ValueError
            If the network lacks a masked parameter or has it in another shape.
        """
        plain = parametrization.make_permanent(copied(model))
        parameters = dict(plain.named_parameters())
        with torch.no_grad():
            for name, mask in self.masks.items():
                if name not in parameters or parameters[name].shape != mask.shape:
                    raise ValueError(
                        f"this ticket is for another network: it masks {name} of {tuple(mask.shape)}"
                    )
                parameters[name].masked_fill_(~mask.to(parameters[name].device), 0)
        return plain

    def hold(self, model: nn.Module, optimiser: torch.optim.Optimizer, *, strict: bool = True) -> Hold:
        """Keep the pruned weights of a network exactly zero at every step of a training loop of one's own.

        Kept weights are left as they are: `apply` writes the rewound ones. Neither momentum nor weight decay
        nor averaging moves a pruned weight. A search that still acts on the optimiser ends.

        Parameters
        ----------
        model : Module
            The network, wrapped (compiled, distributed) or not.
        optimiser : Optimizer
            Any that steps on the masked parameters and takes one gradient a step.
        strict : bool
            False leaves out masks that do not fit the network.

        Returns
        -------
        Hold
            ``hold.remove()`` lets go.
        """
        from nets.masking.steps import Hold

        return Hold(model, optimiser, self._fitting(model, strict))

    def masked_weights(self) -> dict[str, Tensor]:
        """Return the rewound state with exact zeros at the pruned weights, under all names of tied ones."""
        masks = {**self.masks, **self._twins()}
        return {
            name: torch.where(masks[name], tensor, 0) if name in masks else tensor.clone()
            for name, tensor in self.weights.items()
        }

    def _twins(self) -> dict[str, Tensor]:
        """Return the masks of weights that the network has under other names too: tied ones.

        A state holds a tied weight once a name; masks go by the first.
        """
        twins = {}
        for name, tensor in self.weights.items():
            if name in self.masks or tensor.numel() < 2:
                continue
            for masked, mask in self.masks.items():
                if mask.shape == tensor.shape and torch.equal(self.weights[masked], tensor):
                    if bool((tensor != tensor.reshape(-1)[0]).any()):  # constants are equal by chance
                        twins[name] = mask
                    break
        return twins

    def flat_mask(self, layout: Layout) -> Tensor:
        """Return the masks as one flat vector in the order of a layout.

        Raises
        ------
        ValueError
            If the layout has other tensors.
        """
        if set(layout.names) != set(self.masks):
            odd = sorted(set(layout.names) ^ set(self.masks))
            raise ValueError(f"the ticket masks other tensors than the network's rule: {', '.join(odd)}")
        return layout.join(self.masks)

    def save(self, path: str | os.PathLike[str], *, whole: bool = False) -> Path:
        """Write the ticket as a safetensors file, atomically: packed masks and the surviving weights.

        The file (its layout: docs/files.md) has hardly more bytes than the surviving weights, the entropy of
        the masks and the unmasked tensors have.

        Parameters
        ----------
        path : path
            Where to write; an existing file is replaced.
        whole : bool
            Keep what no training of the ticket needs, too: the values of pruned weights, which the controls
            "shuffle" and "invert" need, and the curves of the search (`trace`).

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ValueError
            If the pruned weights are to be kept and this ticket was read from a file without them.
        """
        path = Path(path)
        metadata: dict[str, Any] = {"metadata": dict(self.metadata)}
        if whole:
            if not self.whole:
                raise ValueError("this ticket was read from a file without its pruned weights: find it again")
            metadata["trace"] = {name: list(values) for name, values in self.trace.items()}
        metadata["order"] = [list(self.masks), list(self.weights)]
        state = self.weights if whole else self.masked_weights()
        packed.write(path, FORMAT, state, self.masks, metadata, whole=whole)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ticket:
        """Read a ticket written by `save`, also by earlier versions; nothing is unpickled.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a ticket, is truncated, or was changed since it was written.
        """
        path = Path(path)
        if tensor_file.version(path, FORMAT) == 1:  # held every weight
            return cls._load_dense(path)
        weights, masks, metadata = packed.read(path, FORMAT)
        try:
            if "order" in metadata:  # files of earlier versions have an order of their own
                order_of_masks, order_of_weights = metadata["order"]
                masks = {name: masks[name] for name in order_of_masks}
                weights = {name: weights[name] for name in order_of_weights}
            return cls(
                masks, weights, metadata["metadata"], metadata.get("trace", {}), whole=metadata["whole"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a ticket that this library wrote ({error!r})") from None

    @classmethod
    def _load_dense(cls, path: Path) -> Ticket:
        """Read a ticket of version 1."""
        tensors, metadata = tensor_file.read(path, FORMAT, 1)
        weights = {k.removeprefix("weight:"): t for k, t in tensors.items() if k.startswith("weight:")}
        bits = {k.removeprefix("mask:"): t for k, t in tensors.items() if k.startswith("mask:")}
        try:
            masks = {}
            for name, row in bits.items():
                shape = weights[name].shape
                code = packed.Code("bits", row.numpy().tobytes())
                masks[name] = torch.from_numpy(packed.decode(code, shape.numel())).reshape(shape)
            return cls(masks, weights, metadata["metadata"], metadata["trace"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a ticket that this library wrote ({error!r})") from None


def _bare(name: str) -> str:
    """Return a name without what `torch.compile` and DistributedDataParallel put in front."""
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    while len(parts) > 1 and parts[0] == "module":
        del parts[0]
    return ".".join(parts)


def _renamed(name: str, rename: Mapping[str, str] | Callable[[str], str]) -> str:
    if callable(rename):
        return rename(name)
    parts = name.split(".")
    for count in range(len(parts), 0, -1):  # the longest beginning that is named
        beginning = ".".join(parts[:count])
        if beginning in rename:
            return ".".join(filter(None, (rename[beginning], *parts[count:])))
    return name

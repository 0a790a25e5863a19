"""Whole units as mask entries: neurons, channels and attention heads, with every weight that they touch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import prod
from operator import attrgetter

import torch
from torch import Tensor, nn

from concave_sparsity import density_count, largest
from nets.granularity.coupling import Coupling, coupling
from nets.granularity.groups import Groups
from nets.granularity.names import budget_of
from nets.masking.layout import Layout
from nets.models.flops import count_flops, weight_names

#: How the score of a unit comes from those of its weights.
POOLINGS = ("sum", "mean", "own")


@dataclass(frozen=True)
class _Block:
    """One weight seen as a matrix of kernels: rows are outputs, columns inputs; units or -1 by both.

    Weights of transposed convolutions lie with their inputs first. A kernel costs `price`: its weights, or
    the multiplications that they do in one inference.
    """

    rows: Tensor
    columns: Tensor
    kernel: int
    price: int
    inputs_first: bool = False

    def matrix(self, part: Tensor) -> Tensor:
        """Return the part of a flat vector that is this weight, shape (rows, columns, kernel)."""
        if self.inputs_first:
            return part.view(len(self.columns), len(self.rows), self.kernel).transpose(0, 1)
        return part.view(len(self.rows), len(self.columns), self.kernel)

    def flat(self, matrix: Tensor) -> Tensor:
        """Return a matrix of one value a kernel, shape (rows, columns), as part of a flat vector."""
        return (matrix.t() if self.inputs_first else matrix).repeat_interleave(self.kernel)


class Channels(Groups):
    """Prune whole units: a weight stays if the unit it belongs to and the unit it reads both stay.

    A density counts weights, as everywhere, or the operations that they do in one inference: of the ranking
    of all units, the longest head is kept whose weights (operations) are no more than the density allows. The
    best unit of every layer is kept, so no layer dies.

    The score of a unit is the sum over all weights that go with it, those that compute it and those that read
    it, or for magnitudes, which are sizes, their mean: the sum would say how many weights a unit has. Weights
    pruned before count for nothing.

    Parameters
    ----------
    model : Module
        The network.
    layout : Layout
        Its maskable weights.
    x : Tensor
        An input, which the network is tried on.
    name : str
        "channel", whose density counts weights, or "channel:flops".

    Attributes
    ----------
    coupling : Coupling
        The units.
    units : int
        Their number.

    Raises
    ------
    ValueError
        If a masked tensor is no weight of a layer, or no unit can be removed.
    """

    def __init__(self, model: nn.Module, layout: Layout, x: Tensor, name: str = "channel") -> None:
        self.name = name
        self.counted = "operations" if budget_of(name) == "flops" else "weights"
        self.coupling: Coupling = coupling(model, layout.names, x)
        for name in layout.names:
            if self.coupling.key(name) is None:
                raise ValueError(
                    "granularity channel prunes the weights of linear, convolutional and recurrent layers, "
                    f"and {name} is none; exclude it"
                )
        for name, why in self.coupling.whole.items():
            if any(own.rpartition(".")[0] == name for own in layout.names):
                warnings.warn(f"{name} stays whole, its units cannot be told apart: {why}", stacklevel=2)
        self.units = self.coupling.units
        if not self.units:
            raise ValueError(
                f"no unit of {type(model).__name__} can be removed: every channel reaches the output or a "
                "parameter outside the masked layers; prune by weight or N:M"
            )
        self.layout = layout
        self.total = layout.total
        operations = count_flops(model, x[:1]).layers if self.counted == "operations" else {}
        modules = dict(model.named_modules())
        self.blocks = []
        for name, shape in zip(layout.names, layout.shapes):
            layer, kernel = self.coupling.key(name) or "", prod(shape[2:])
            rows, columns = self.coupling.outputs[layer], self.coupling.inputs[layer]
            price = kernel
            if operations:
                module = name.rpartition(".")[0]
                own = sum(attrgetter(w)(modules[module]).numel() for w in weight_names(modules[module]))
                price = kernel * operations[module] // (2 * own)
            if layer in self.coupling.transposed:
                self.blocks.append(_Block(rows, columns, kernel, price, inputs_first=True))
                continue
            if len(rows) != shape[0]:  # transposed in groups, which have their inputs first
                rows, columns = columns, rows
            if len(columns) != shape[1]:  # groups: their inputs and outputs are one unit
                columns = torch.full((shape[1],), -1)
            self.blocks.append(_Block(rows, columns, kernel, price))
        self._layers = self._kinds()
        self._whole = self.cost(torch.ones(self.units, dtype=torch.bool))
        self._first = self._first_readers(torch.ones(layout.total, dtype=torch.bool))

    def _first_readers(self, there: Tensor) -> Tensor:
        """Return the place of the first weight there is that reads each unit, shape (units,); else n."""
        first = torch.full((self.units + 1,), self.total, device=there.device)
        places = torch.arange(self.total, device=there.device).masked_fill_(~there, self.total)
        for block, part in zip(self.blocks, self.layout.segments(places)):
            earliest = block.matrix(part).amin((0, 2))
            units = torch.where(block.columns < 0, self.units, block.columns).to(there.device)
            first.scatter_reduce_(0, units, earliest, "amin")
        return first[:-1]

    @property
    def whole(self) -> int:
        """What a density is a share of: the number of weights, or the operations of one inference."""
        return self._whole

    @property
    def entries(self) -> int:
        """Number of mask entries: the units."""
        return self.units

    def count(self, density: float) -> int:
        """Return the number of weights (operations) kept at most, round(density * that of all).

        Raises
        ------
        ValueError
            If one unit in every layer has more.
        """
        count = density_count(density, self.whole)
        self._refuse_too_few(self.best(torch.zeros(self.units)), count)
        return count

    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Keep the units of highest score, as many as have no more than `count` weights (operations)."""
        if distribution != "global":
            raise ValueError(
                f"channels are shared out globally, distribution {distribution!r} is for single weights"
            )
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        own = self.own(scores) if pooling == "own" else self.pool(scores, mean=pooling == "mean")
        return self.expand(self.choose(own, count))

    def choose(self, scores: Tensor, count: int) -> Tensor:
        """Return which units stay, boolean, shape (units,), from one score each; those pruned at -inf."""
        scores = scores.masked_fill(self.best(scores), torch.inf)
        order = scores.sort(descending=True, stable=True).indices
        low, high = int(torch.isposinf(scores).sum()), int((~torch.isneginf(scores)).sum())
        self._refuse_too_few(self._head(order, low), count)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.cost(self._head(order, middle)) <= count
            low, high = (middle, high) if fits else (low, middle - 1)
        return self._head(order, low)

    def _refuse_too_few(self, alive: Tensor, count: int) -> None:
        least = self.cost(alive)
        if least > count:
            raise ValueError(
                f"{count} {self.counted} are too few for one unit in every layer, which have {least}; ask "
                f"for a density of at least {least / self.whole:.4g}"
            )

    def _head(self, order: Tensor, kept: int) -> Tensor:
        alive = torch.zeros(self.units, dtype=torch.bool, device=order.device)
        alive[order[:kept]] = True
        return alive

    def best(self, scores: Tensor) -> Tensor:
        """Return the units that must stay, boolean: the first of highest score in every layer."""
        best = torch.zeros(self.units, dtype=torch.bool, device=scores.device)
        for block in self.blocks:
            for units in (block.rows, block.columns):
                if not (units < 0).any():
                    best[units.to(scores.device)[scores[units].argmax()]] = True
        return best

    def weights(self, alive: Tensor) -> int:
        """Return how many weights a set of units, boolean, shape (units,), leaves."""
        return self._left(alive, [b.kernel for b in self.blocks])

    def cost(self, alive: Tensor) -> int:
        """Return how many weights (operations) a set of units leaves: what the density counts."""
        return self._left(alive, [b.price for b in self.blocks])

    def _left(self, alive: Tensor, prices: list[int]) -> int:
        alive = torch.cat([alive, alive.new_ones(1)]).cpu()
        parts = zip(self.blocks, prices)
        return sum(int(alive[b.rows].sum()) * int(alive[b.columns].sum()) * price for b, price in parts)

    def costs(self, alive: Tensor) -> Tensor:
        """Return how many weights (operations) each unit costs beside those that are there.

        Parameters
        ----------
        alive : Tensor
            Shape (units,), in [0, 1]: how far the units are there.

        Returns
        -------
        Tensor
            Shape (units,), at least 1.
        """
        alive = torch.cat([alive, alive.new_ones(1)])
        costs = torch.zeros_like(alive)
        for block in self.blocks:
            rows, columns = (
                torch.where(units < 0, self.units, units).to(alive.device)
                for units in (block.rows, block.columns)
            )
            costs.index_add_(0, rows, (alive[columns].sum() * block.price).expand(len(rows)))
            costs.index_add_(0, columns, (alive[rows].sum() * block.price).expand(len(columns)))
        return costs[:-1].clamp_(min=1.0)

    def pool(self, values: Tensor, mean: bool = False) -> Tensor:
        """Return sums or means over the weights that each unit has left, shape (units,); -inf without any."""
        sums = self._sum(values, rows=True)
        return sums / self._sum((~torch.isneginf(values)).to(values.dtype), rows=True) if mean else sums

    def _sum(self, values: Tensor, rows: bool) -> Tensor:
        gone = torch.isneginf(values)
        values = values.masked_fill(gone, 0.0)
        sums = values.new_zeros(self.units + 1)
        left = values.new_zeros(self.units + 1)
        for block, part, there in zip(self.blocks, self.layout.segments(values), self.layout.segments(~gone)):
            for units, axes in ((block.rows, (1, 2)), (block.columns, (0, 2)))[0 if rows else 1 :]:
                place = torch.where(units < 0, self.units, units).to(values.device)
                sums.index_add_(0, place, block.matrix(part).sum(axes))
                left.index_add_(0, place, block.matrix(there).sum(axes).to(values.dtype))
        return torch.where(left > 0, sums, -torch.inf)[:-1]

    def gather(self, values: Tensor) -> Tensor:
        """Return the sums over the weights that read each unit, shape (units,)."""
        sums = values.new_zeros(self.units + 1)
        for block, part in zip(self.blocks, self.layout.segments(values)):
            place = torch.where(block.columns < 0, self.units, block.columns).to(values.device)
            sums.index_add_(0, place, block.matrix(part).sum((0, 2)))
        return sums[:-1]

    def expand(self, alive: Tensor) -> Tensor:
        """Return the product of the values of both units of every weight, shape (n,).

        Parameters
        ----------
        alive : Tensor
            One value a unit, shape (units,), boolean (then both must hold) or not; what cannot be removed
            counts as one.
        """
        alive = torch.cat([alive, alive.new_ones(1)])
        parts = []
        for block in self.blocks:
            both = alive[block.rows.to(alive.device)][:, None] * alive[block.columns.to(alive.device)]
            parts.append(block.flat(both))
        return torch.cat(parts)

    def own(self, values: Tensor) -> Tensor:
        """Return one value a unit from values that are equal for all weights reading it; -inf if all are."""
        gone = torch.isneginf(values)
        if not gone.any():
            return values[self._first.to(values.device)]
        first = self._first_readers(~gone)
        return torch.cat([values, values.new_full((1,), -torch.inf)])[first]

    def spread(self, own: Tensor, others: float = 1.0) -> Tensor:
        """Return the value of the unit that every weight reads, shape (n,); `others` where there is none."""
        own = torch.cat([own, own.new_full((1,), others)])
        parts = []
        for block in self.blocks:
            row = own[block.columns.to(own.device)]
            parts.append(block.flat(row.expand(len(block.rows), -1)))
        return torch.cat(parts)

    def share(self, values: Tensor) -> Tensor:
        """Return the sums over the weights that read each unit, at those weights; infinity at the others.

        A unit is masked where it is read: that takes it away whatever its bias and its normalisation are. The
        best unit of every layer has infinity too: it is not for sale.
        """
        own = self.gather(values)
        return self.spread(own.masked_fill(self.best(own), torch.inf), torch.inf)

    def priced(self, worth: Tensor, mask: Tensor) -> Tensor:
        """Return at every weight what the unit that it reads gives for what it costs, laid out as by `share`.

        What a unit gives is its share of the worth of its layer as it stands, the slope of the logarithm of
        that sum: halving a layer hurts alike wherever, and a layer that grows narrow grows dear. By their
        bare worth units of one layer after the other would go, down to the last: the estimates of layers
        differ by orders of magnitude, and each is of one unit's loss while all others stay.

        Parameters
        ----------
        worth : Tensor
            By how much the loss rises without each unit, up to a factor a layer; shape (units,).
        mask : Tensor
            The relaxed mask as it stands, shape (n,): what else is there decides what a unit costs.
        """
        there = self.own(mask).to(worth.dtype)
        layer = self._layers.to(worth.device)
        total = worth.new_zeros(int(layer.max()) + 1).index_add_(0, layer, worth * there)
        share = worth / total[layer].clamp_(min=torch.finfo(worth.dtype).tiny)
        own = share / self.costs(there)
        return self.spread(own.masked_fill(self.best(own), torch.inf), torch.inf)

    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return the largest value of a unit that is dropped at a density, shape (); None if none is."""
        own = self.own(values)
        dropped = own[~self.choose(own, self.count(density))]
        return dropped.max() if len(dropped) else None

    def show(self, mask: Tensor) -> Tensor:
        """Return the mask with the rows of each unit taken along, shape (n,)."""
        return self.expand(self.own(mask))

    def alive(self, mask: Tensor) -> Tensor:
        """Return which units a mask of weights keeps, boolean, shape (units,): those that are read."""
        return self._sum(mask.to(torch.float64), rows=False) > 0

    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return as many units of each kind, those of the same layers, by random order."""
        alive, scores = self.alive(mask), self.own(order)
        if others:
            scores = scores + (~alive).to(scores.dtype)
        drawn = torch.zeros_like(alive)
        kinds = self._layers.to(mask.device)
        for kind in range(int(kinds.max()) + 1):
            members = (kinds == kind).nonzero().flatten()
            drawn[members] = largest(scores[members], int(alive[members].sum()))
        return self.expand(drawn)

    def _kinds(self) -> Tensor:
        """Return a number for each unit, equal for units of as many rows and columns in the same layers."""
        places = [units for block in self.blocks for units in (block.rows, block.columns)]
        counts = [torch.bincount(units[units >= 0], minlength=self.units) for units in places]
        kinds: Tensor = torch.unique(torch.stack(counts, dim=1), dim=0, return_inverse=True)[1]
        return kinds

    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError unless a mask consists of whole units that cost `count` at most."""
        alive = self.alive(mask)
        if not torch.equal(self.expand(alive), mask):
            raise AssertionError("the mask keeps units in part")
        if (cost := self.cost(alive)) > count:
            raise AssertionError(f"the mask keeps {cost} {self.counted}, at most {count} may stay")

    def report(self, mask: Tensor) -> dict[str, float]:
        """Return how many units a mask keeps and how many there are, and the share of operations if asked."""
        alive = self.alive(mask)
        report: dict[str, float] = {"units_kept": int(alive.sum()), "units": self.units}
        if self.counted == "operations":
            report["flops_density"] = self.cost(alive) / self.whole
        return report

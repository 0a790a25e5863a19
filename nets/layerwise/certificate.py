"""How good a pruned network is, and how much better it could be: row by row, layer by layer, as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from concave_sparsity import Penalty
from nets.layerwise.moments import Calibration, Listener, outputs_of, run_on
from nets.layerwise.rows import RHO, LayerProblem
from nets.layerwise.sites import Site
from nets.layerwise.support import Mask, Weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How often the price of a weight is mended, by which factor at first, and the steps at each price.
PRICES = 5
FACTOR = 16.0
STEPS = 15


@dataclass(frozen=True)
class RowBounds:
    """What is certified of the rows of a layer, arrays of shape (out,).

    Parameters
    ----------
    errors : ndarray
        Mean squared error of each row, ridge included, relative to its mean square.
    gaps : ndarray
        Duality gap of the row's convex relaxation as far as it was solved, in the same unit.
    best_counts : ndarray
        No support of the same size has an error below this (T1 for the counting penalty).
    best_penalties : ndarray
        By how much the penalised objective, at the lam that gave the best bound, may exceed its global
        minimum at most (T1 for the penalty), in the same unit.
    """

    errors: Weights
    gaps: Weights
    best_counts: Weights
    best_penalties: Weights
    energy: Weights


def row_bounds(
    problem: LayerProblem,
    mask: Mask,
    values: Weights,
    penalty: Penalty,
    *,
    device: torch.device | str = "cpu",
) -> RowBounds:
    """Bound from below what any support of the same size, or any point, could reach in each row.

    A point v no worse than ours lies in a box around the dense least squares solution z: |v_i - z_i| <=
    sqrt((our error - its error) (G^-1)_ii). On that box the count of nonzeros, or a concave penalty, is at
    least its chord (theory, T1), which leaves a convex problem; any point of it gives a dual value, as the
    box is compact ("Duality gap on the box"). The price of a weight is mended until the bound is best.

    Parameters
    ----------
    problem : LayerProblem
        The layer.
    mask, values : ndarray, shape (out, d)
        Its pruned rows.
    penalty : Penalty
        Of ``|v_i| sqrt(G_ii)`` relative to the root mean square of the row's dense weights so measured.
    device : torch.device
        Where the steps are done.
    """
    scale, gram, right = problem.scaled
    inverse = np.linalg.inv(gram)
    dense = right @ inverse
    error = problem.errors(values)
    least = np.maximum(problem.squares - np.einsum("od,od->o", right, dense), 0.0)
    excess = np.maximum(error - least, 0.0)[:, None]
    reach = np.sqrt(excess * np.diag(inverse)) * (1.0 + 1e-9)
    size = np.sqrt(np.mean((problem.weights * scale) ** 2, axis=1, keepdims=True))
    size = np.where(size > 0, size, 1.0)
    lower, upper = dense - reach, dense + reach
    kept = mask.sum(1)
    relaxed = _Relaxed(gram, right, lower, upper, dense, device)
    counting = _Chords(relaxed, np.ones_like(dense), np.ones_like(dense))
    average = excess[:, 0] / (2.0 * np.maximum(mask.shape[1] - kept, 1))
    best, gaps, chosen = least.copy(), np.zeros_like(error), np.zeros_like(error)
    lam, factor = average.copy(), FACTOR
    for _ in range(PRICES):
        bound, gap, chords = relaxed.solve(lam, counting)
        bound = problem.squares + 2.0 * (bound - lam * kept)
        better = bound > best
        best[better], gaps[better], chosen[better] = bound[better], 2.0 * gap[better], lam[better]
        lam = np.where(chords > kept, lam * factor, lam / factor)
        factor = math.sqrt(factor)
    chosen = np.where(chosen > 0, chosen, average)

    def of(v: Weights) -> Weights:
        found: Weights = np.asarray(penalty.value(np.abs(v) / size), dtype=np.float64)
        return found

    bound, *_ = relaxed.solve(chosen, _Chords(relaxed, of(lower), of(upper)))
    reached = error + 2.0 * chosen * of(values * scale).sum(1)
    unit = np.where(problem.squares > 0, problem.squares, 1.0)
    return RowBounds(
        error / unit,
        gaps / unit,
        np.clip(best, 0.0, error) / unit,
        np.maximum(reached - problem.squares - 2.0 * bound, 0.0) / unit,
        problem.squares,
    )


class _Relaxed:
    """Rows of: minimise 1/2 v'G v - c'v + lam sum of chords over a box; a bound from below of each.

    The steps are in single precision, what is certified in double.
    """

    def __init__(
        self, gram: Weights, right: Weights, lower: Weights, upper: Weights, start: Weights, device: Any
    ) -> None:
        self.gram, self.right, self.lower, self.upper = (
            torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (gram, right, lower, upper)
        )
        self.around = (self.lower < 0) & (self.upper > 0)
        inverse = np.linalg.inv(gram + RHO * np.eye(len(gram)))
        self.inverse = torch.from_numpy(inverse).to(device, torch.float32)
        self.least, self.most = self.lower.float(), self.upper.float()
        self.z = torch.from_numpy(start).to(device, torch.float32)
        self.dual = torch.zeros_like(self.z)

    def solve(self, lam: Weights, chords: _Chords) -> tuple[Weights, Weights, Weights]:
        """Return a bound from below, the gap to it and the sum of the chords, each of shape (out,)."""
        price = torch.from_numpy(lam).to(self.right.device)[:, None]
        up, down = ((price * slope).float() / RHO for slope in (chords.rise, chords.fall))
        right = (self.right - price * chords.slope).float()
        z, dual = self.z, self.dual
        for _ in range(STEPS):
            v = torch.addmm(dual, torch.add(right, z - dual, alpha=RHO), self.inverse)
            z = (v - up).clamp_min_(0.0).add_((v + down).clamp_max_(0.0)).clamp_(self.least, self.most)
            dual = v - z
        self.z, self.dual = z, dual
        point = z.double().clamp_(self.lower, self.upper)
        product = point @ self.gram
        gradient = product - self.right
        ends = torch.minimum(
            torch.addcmul(price * chords.low, gradient, self.lower),
            torch.addcmul(price * chords.high, gradient, self.upper),
        )
        ends = torch.where(self.around, ends.clamp_max(0.0), ends)
        bound = ends.sum(1) - 0.5 * torch.linalg.vecdot(product, point)
        counted = chords.of(point)
        primal = torch.linalg.vecdot(product.mul_(0.5).sub_(self.right), point) + price[:, 0] * counted
        found = bound, (primal - bound).clamp_min(0.0), counted
        return tuple(t.cpu().numpy() for t in found)  # type: ignore[return-value]


class _Chords:
    """The largest convex function below one with the values `low`, `high` at the ends of a box and 0 at 0.

    Through zero where that lies inside the box; the chord of both ends where it does not.
    """

    def __init__(self, relaxed: _Relaxed, low: Weights, high: Weights) -> None:
        lower, upper, around = relaxed.lower, relaxed.upper, relaxed.around
        self.low, self.high = (torch.from_numpy(a).to(lower.device) for a in (low, high))
        zero = torch.zeros((), dtype=lower.dtype, device=lower.device)
        self.rise = torch.where(around, self.high / upper, zero)
        self.fall = torch.where(around, self.low / -lower, zero)
        flat = around | (upper <= lower)
        self.slope = torch.where(flat, zero, (self.high - self.low) / (upper - lower))
        self.level = torch.where(around, zero, self.low - self.slope * lower)

    def of(self, point: Tensor) -> Tensor:
        """Return the sum over each row, shape (out,)."""
        above, below = point.clamp_min(0.0), point.clamp_max(0.0)
        sides = torch.linalg.vecdot(self.rise, above) - torch.linalg.vecdot(self.fall, below)
        total: Tensor = sides + torch.linalg.vecdot(self.slope, point) + self.level.sum(1)
        return total


@dataclass(frozen=True)
class LayerCertificate:
    """What is known of one pruned layer.

    Parameters
    ----------
    name : str
        The weights.
    kept, total, samples : int
        Weights kept, weights, inputs seen.
    error : float
        Mean squared change of the outputs on the calibration data, relative to their mean square (to their
        variance where the bias was fitted). The inputs are those that the layer was fitted on.
    held_out : float
        The same on calibration data that were held out, in the pruned network; NaN without any.
    best_count : float
        No choice of as many weights in each row has a smaller error, ridge included; NaN if not computed.
    fitted : float
        The error with the ridge included, to compare with `best_count`.
    gap, penalty : float
        Largest duality gap of a row's relaxation; largest distance of a row's penalised objective from its
        global minimum (both relative to the row's mean square).
    rows : mapping of str to list of float
        `RowBounds`, row by row.
    """

    name: str
    kept: int
    total: int
    samples: int
    error: float
    held_out: float = float("nan")
    fitted: float = float("nan")
    best_count: float = float("nan")
    gap: float = float("nan")
    penalty: float = float("nan")
    rows: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Share of the weights kept."""
        return self.kept / self.total


def certified(layer: LayerCertificate, bounds: Sequence[RowBounds]) -> LayerCertificate:
    """Return the certificate of a layer with what is certified of its rows, group by group."""
    rows = {f.name: np.concatenate([getattr(b, f.name) for b in bounds]) for f in fields(RowBounds)}
    energy = np.concatenate([b.energy for b in bounds])
    weight = energy / energy.sum() if energy.sum() > 0 else np.full(len(energy), 1.0 / len(energy))
    return replace(
        layer,
        best_count=float(weight @ rows["best_counts"]),
        gap=float(rows["gaps"].max()),
        penalty=float(rows["best_penalties"].max()),
        rows={name: [float(f"{x:.6g}") for x in values] for name, values in rows.items()},
    )


class Outputs:
    """How the output of a network on held-out data changes while it is pruned block by block.

    Parameters
    ----------
    dense : Module
        The network before.
    data : Calibration or None
        Held-out batches, of which the first few are looked at.
    """

    def __init__(self, dense: nn.Module, data: Calibration | None, batches: int = 4) -> None:
        self.calls = [] if data is None else list(islice(data.calls(dense), batches))
        self.first = self.last = [first_tensor(run_on(dense, call)) for call, _ in self.calls]
        self.size = _length(self.first)
        self.changes: dict[str, float] = {}

    def note(self, block: str, pruned: nn.Module) -> None:
        """Measure what pruning a block changed."""
        if not self.size > 0:
            return
        now = [first_tensor(run_on(pruned, call)) for call, _ in self.calls]
        self.changes[block] = _length([a - b for a, b in zip(now, self.last)]) / self.size
        self.last = now

    def change(self, network: nn.Module) -> float:
        """Return by how much a network's output differs from the dense one's, relative to it."""
        if not self.size > 0:
            return float("nan")
        now = [first_tensor(run_on(network, call)) for call, _ in self.calls]
        return _length([a - b for a, b in zip(now, self.first)]) / self.size

    @property
    def total(self) -> float:
        """By how much the output has changed since the start, relative to it."""
        if not self.size > 0:
            return float("nan")
        return _length([a - b for a, b in zip(self.last, self.first)]) / self.size


def first_tensor(output: Any) -> Tensor:
    """Return the first floating tensor of what a network puts out."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, PackedSequence):
        return output.data
    if isinstance(output, tuple | list) and output and isinstance(output[0], PackedSequence):
        return output[0].data
    values = output.values() if isinstance(output, Mapping) else output
    for value in values if isinstance(values, Iterable) else ():
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
    raise ValueError(f"the network puts out {type(output).__name__}, in which there is no floating tensor")


def _length(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors))


def held_out_errors(
    dense: nn.Module,
    pruned: nn.Module,
    blocks: Iterable[tuple[Sequence[Site], int | None]],
    data: Calibration | None,
    alive: Mapping[str, Mask],
) -> dict[str, float]:
    """Return by name the mean squared change of each layer's outputs, relative to their variance.

    Relative to their mean square where the layer has no bias. A layer's inputs are those of the finished
    network. The sites come block by block, with the calls after which a pass may end, so that memory holds
    what one block puts out. Of the sites in `alive` only those outputs count.
    """
    errors: dict[str, float] = {}
    if data is None:
        return errors
    own, new = dict(dense.named_parameters()), dict(pruned.named_parameters())
    for sites, calls in blocks:
        sums: dict[str, tuple[int, Tensor]] = {}  # n; per output the sums of change^2, y^2 and y
        wanted, met = Listener(dense, sites, calls), Listener(pruned, sites, calls)
        for call, valid in data.calls(dense):
            wanted.run(call)
            met.run(call)
            for (path, a, a_call, a_out), (_, b, b_call, b_out) in zip(wanted.heard, met.heard):
                for site in wanted.by_path[path]:
                    y = outputs_of(site, a, a_call, a_out, own[site.parameter]).double()
                    change = outputs_of(site, b, b_call, b_out, new[site.parameter]) - y
                    if site.bias:
                        shift = site.part_of_bias(new[site.bias]) - site.part_of_bias(own[site.bias])
                        change = change + shift
                    if valid is not None and len(y) == valid.numel():
                        y, change = y[valid.reshape(-1)], change[valid.reshape(-1)]
                    found = torch.stack([change.square().sum(0), y.square().sum(0), y.sum(0)])
                    n, total = sums.get(site.name, (0, torch.zeros_like(found)))
                    sums[site.name] = n + len(y), total + found
        for name, biased in ((site.name, bool(site.bias)) for site in sites if site.name in sums):
            n, found = sums[name]
            error, squares, mean = found[:, torch.from_numpy(alive[name])] if name in alive else found
            energy = float((squares - mean * mean / n if biased else squares).sum())
            errors[name] = float(error.sum()) / energy if energy > 0 else 0.0
    return errors


@dataclass(frozen=True)
class Certificate:
    """What is known of a pruned network; `str` makes a table of it.

    Parameters
    ----------
    layers : tuple of LayerCertificate
        In the order of pruning.
    changes : mapping of str to float
        By how much each block's pruning changed the network's output on held-out data, relative to the dense
        output (root mean squares): the layers' errors times how much the rest of the network amplifies them,
        measured.
    output_change : float
        By how much all of it changed the output.
    """

    layers: tuple[LayerCertificate, ...]
    changes: Mapping[str, float] = field(default_factory=dict)
    output_change: float = float("nan")

    @property
    def output_bound(self) -> float:
        """Sum of the changes of the blocks: no less than `output_change`, by the triangle inequality."""
        return sum(self.changes.values()) if self.changes else float("nan")

    def table(self) -> list[dict[str, float | str | int]]:
        """Return one plain row a layer."""
        names = [f.name for f in fields(LayerCertificate) if f.name != "rows"]
        return [{n: getattr(layer, n) for n in names} | {"density": layer.density} for layer in self.layers]

    def __str__(self) -> str:
        columns = {"error": "error", "held_out": "held out", "fitted": "with ridge", "best_count": "at best"}
        lines = [f"{'layer':44s} {'kept':>7s} " + " ".join(f"{text:>10s}" for text in columns.values())]
        for layer in self.layers:
            values = [getattr(layer, name) for name in columns]
            shown = " ".join(f"{'-':>10s}" if math.isnan(x) else f"{x:10.3g}" for x in values)
            lines.append(f"{layer.name[-44:]:44s} {layer.density:7.1%} {shown}")
        if self.changes:
            lines.append(
                f"output changed by {self.output_change:.3g} of its size on held-out data; at most "
                f"{self.output_bound:.3g} by the changes of the blocks"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {
            "layers": [vars(layer) for layer in self.layers],
            "changes": dict(self.changes),
            "output_change": self.output_change,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Certificate:
        """Return what `to_dict` made plain."""
        layers = tuple(LayerCertificate(**layer) for layer in values["layers"])
        return cls(layers, values["changes"], values["output_change"])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw each layer's error, held out too, over the bound of what any support could reach.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Where to draw; default: those of a new figure, ``axes.figure``.
        """
        if axes is None:
            from matplotlib.figure import Figure

            axes = Figure(figsize=(7.0, 1.2 + 0.24 * len(self.layers)), layout="constrained").add_subplot()
        places = np.arange(len(self.layers))[::-1]
        kinds = (("error", "o", "calibration"), ("held_out", "s", "held out"), ("best_count", "|", "bound"))
        for name, marker, label in kinds:
            values = np.array([getattr(layer, name) for layer in self.layers], dtype=float)
            there = np.isfinite(values) & (values > 0)
            axes.plot(values[there], places[there], marker, label=label, markersize=5)
        axes.set_yticks(places, [layer.name[-44:] for layer in self.layers], fontsize=7)
        axes.set_xscale("log")
        axes.set_xlabel("relative error of the layer's outputs")
        axes.legend(fontsize=7)
        return axes

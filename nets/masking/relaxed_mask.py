"""The relaxed mask m in [0, 1]^n, trained with the weights under the penalty lam * sum r(m_i)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import Penalty
from nets.granularity.channels import Channels
from nets.masking import masked_step
from nets.masking.course import Course, falling_density, updates_at_least
from nets.masking.curves import Curves
from nets.masking.selection import select_above, select_nearly
from nets.training.loop import Hook

#: The proximal map is tabulated over this many octaves of h, each cut into equal parts.
OCTAVES, PARTS = 32, 256
POINTS = OCTAVES * PARTS


class RelaxedMask(Hook):
    """Train a mask clipped to [0, 1] with the weights; lam is steered so that the mask reaches a density.

    The network sees the weights theta * m. Taking m_i from 1 down costs the loss about h_i (1 - m_i)^2 / 2,
    where h_i = theta_i^2 H_ii is its curvature in m_i. Under the penalty lam * sum r(m_i) on the box this
    model is solved coordinate by coordinate, by the penalty's own boxed proximal operator,

        m_i = argmin over [0, 1] of h_i (m - 1)^2 / 2 + lam r(m) = prox of (lam / h_i) r at 1,

    which is one proximal step with the curvature as its metric. For H_ii stands the root of a running mean of
    squared gradients, as in Adam (the square itself, the empirical Fisher, did no better on validation).

    How lam follows the density: m_i > 1/2 exactly if lam / h_i is below a number c of the penalty alone, so
    lam is set at every update to c times the (1 - target) quantile of h; just the share of entries wanted
    now lies above one half. The target falls from 1 to the density asked for along a cubic, over the first
    part `descent` of the training, and stays there while the weights settle. A strictly concave penalty makes
    the map jump from 0 to near 1: the mask is nearly binary when the run ends and the cut only breaks
    near-ties (of m, then by h). The l1 map is a soft threshold and leaves entries in between. Where m_i = 0
    theta_i is kept and its gradient is measured still, so an entry may come back.

    Scaling the loss, or lam, changes nothing: the updates depend on lam / h alone. A lam that is given stays
    as it is and the density follows; h is on the scale of the root mean square of gradients.

    Parameters
    ----------
    penalty : Penalty
        r.
    density : float
        Density to reach.
    descent : float
        Share of the training over which the target falls, in (0, 1].
    interval : int
        Steps between two updates of the mask; fewer in a training too short for twenty of them.
    memory : float
        Share of the training over which squared gradients are averaged.
    warm_up : float
        Share of the training before the mask begins to move.
    origin : float
        Density from which the target falls.
    lam : float
        Positive: lam is given, and the density follows from the end of the warm-up on.
    threshold : float
        Where lam is given: the cut keeps the entries above it.
    alive : Tensor, optional
        Boolean, shape (n,): weights outside are zero and stay so, and are never kept at the cut.
    """

    #: Steps that the sum of squared gradients stands for; it decays with them.
    steps_averaged: float = 0.0
    _in_one_pass = False
    _buffer: Tensor | None = None

    def __init__(
        self,
        penalty: Penalty,
        density: float,
        *,
        descent: float = 0.8,
        interval: int = 10,
        memory: float = 0.02,
        warm_up: float = 0.0,
        origin: float = 1.0,
        lam: float = 0.0,
        threshold: float = 0.5,
        alive: Tensor | None = None,
    ) -> None:
        if not 0 < descent <= 1:
            raise ValueError(f"descent must be in (0, 1], got {descent!r}")
        if not 0 <= warm_up < descent:
            raise ValueError(
                f"warm_up must be at least 0 and less than descent, {descent!r}, got {warm_up!r}"
            )
        if not 0 <= lam < math.inf:
            raise ValueError(f"lam must be positive, or 0 to be steered, got {lam!r}")
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval!r}")
        if not memory > 0:
            raise ValueError(f"memory must be positive, got {memory!r}")
        self.penalty = penalty
        self.density = density
        self.descent = descent
        self.interval = interval
        self.memory = memory
        self.warm_up = warm_up
        self.origin = origin
        self.given = lam
        self.threshold = threshold
        self.alive = alive
        self.mask = torch.empty(0)
        self.squares = torch.empty(0)
        self._of_units = torch.empty(0)
        self.curves = Curves(steered=not lam)

    def start(self, loop: Course) -> None:
        """Start with a mask of ones, or show the network the mask that was loaded."""
        flat = loop.flat
        if self.mask.numel() == 0:
            self.mask = torch.ones_like(flat.weights)
            self.squares = torch.zeros_like(flat.weights)
        self.mask, self.squares = self.mask.to(flat.weights), self.squares.to(flat.weights)
        if isinstance(flat.layout.groups, Channels) and self._of_units.numel() == 0:
            self._of_units = flat.weights.new_zeros(flat.layout.groups.units)
        self.interval = updates_at_least(self.interval, loop.steps)
        self._keep = math.exp(-self.interval / max(self.interval, self.memory * loop.steps))
        self._critical = critical_step(self.penalty)
        self._table = proximal_table(self.penalty, self._critical).to(flat.weights)
        flat.separate()
        flat.show(self.mask)

    def after_backward(self, loop: Course) -> None:
        """Sum the squared gradients of the effective weights and turn them into gradients of the weights."""
        self.steps_averaged += 1.0
        groups = loop.flat.layout.groups
        if isinstance(groups, Channels):
            self._of_units += groups.gather(loop.flat.gradients * loop.flat.weights).square_()
        self._in_one_pass = masked_step.in_one_pass(loop)
        if not self._in_one_pass:
            loop.flat.scale_gradients(self.mask, self.squares)

    def take_step(self, loop: Course) -> bool:
        """Do all of a step at once where that is possible."""
        if self._in_one_pass:
            masked_step.step(loop, self.mask, self.squares)
        return self._in_one_pass

    def after_step(self, loop: Course) -> None:
        """Update the mask when it is due, and the effective weights."""
        due = loop.step % self.interval == 0
        if due:
            self.update(loop)
        if due or not self._in_one_pass:
            loop.flat.show(self.mask)

    def target(self, share: float) -> float:
        """Return the density wanted when `share` of the training is done."""
        return falling_density(share, self.density, begin=self.warm_up, end=self.descent, origin=self.origin)

    def curvature(self, loop: Course, out: Tensor | None = None, keep: float = 1.0) -> Tensor:
        """Return h, the curvature of the loss in every mask entry, up to a common factor; shape (n,).

        Then the squared gradients that it comes from are multiplied by `keep`.

        Of a unit it is the root mean square of the loss's slope in its entry, sum theta_i g_i over the
        weights that read it, all of them together (Molchanov et al., CVPR 2019), as a share of its layer's:
        squares leave the whole share to one unit where a layer grows narrow, and the others go. It is divided
        by what the unit costs: under a budget sum c_u m_u the penalty of an entry is lam c_u r(m_u), and the
        proximal point depends on h_u / (lam c_u) alone.
        """
        weights, groups = loop.flat.weights, loop.flat.layout.groups
        if isinstance(groups, Channels):
            priced = groups.priced(self._of_units.sqrt(), self.mask)
            self._of_units.mul_(keep)
            self.squares.mul_(keep)
            return priced
        h = torch.empty_like(self.squares) if out is None else out
        if _compiles(h):
            from nets.masking import kernels  # torch's root of zero takes twenty times as long as others

            kernels.curvature(self.squares.numpy(), weights.detach().numpy(), keep, h.numpy())
        else:
            torch.sqrt(self.squares, out=h).mul_(weights).mul_(weights)
            self.squares.mul_(keep)
        return groups.share(h)

    def final(self, loop: Course) -> Tensor:
        """Return the mask that the trained network is evaluated under, shape (n,)."""
        return self.mask

    def show(self, loop: Course, mask: Tensor) -> None:
        """Show the network the weights under this mask."""
        loop.flat.show(mask)

    def tie(self, loop: Course) -> Tensor:
        """Return what decides between equal entries at the cut: the curvature that they come from."""
        return self.curvature(loop)

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of `count` weights, or where lam is given of those above the threshold."""
        final = self.final(loop)
        if self.given:
            return select_above(final, self.threshold, self.given)
        self._buffer = None
        return select_nearly(final, self.tie(loop), loop.flat.layout, count, self.alive)

    @property
    def lam(self) -> float:
        """Weight of the penalty as it is at present."""
        return self.trace["lam"][-1] if self.trace["lam"] else 0.0

    def update(self, loop: Course) -> None:
        """Move the mask by one step of reweighting, on the gradients seen so far."""
        if self._buffer is None:  # memory that is fresh at every update costs more than the arithmetic
            self._buffer = torch.empty_like(self.squares)
        groups = loop.flat.layout.groups
        h = self.curvature(loop, self._buffer, self._keep)
        scale = math.sqrt(max(self.steps_averaged, 1.0))
        self.steps_averaged *= self._keep
        target = self.target(loop.share)
        if self.given:
            if loop.share < self.warm_up:
                return
            middle = torch.full((), self.given / self._critical * scale, dtype=h.dtype, device=h.device)
        else:
            found = groups.threshold(h, target, self.mask)  # which is written anew
            if found is None:
                return
            middle = found.clamp(min=torch.finfo(h.dtype).tiny)
        last = None if self.given else groups.last(h, middle)
        whole = torch.isinf(h) if isinstance(groups, Channels) else None  # what is not for sale
        look_up(self._table, h, self.mask, middle)
        if last is not None:
            places, emptied = last
            self.mask[places] = torch.where(emptied, 1.0, self.mask[places])
        if whole is not None:
            self.mask.masked_fill_(whole, 1.0)
        shown = groups.show(self.mask)
        lam = middle.mean() * (self._critical / scale)
        self.curves.append(loop.step, target, lam, *_shares(shown))

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the search: step, target, lam, mean of m, share of m above one half."""
        return self.curves.trace

    def state_dict(self) -> dict[str, Any]:
        """Return the mask and the running sums of squared gradients."""
        return {
            "mask": self.mask,
            "squares": self.squares,
            "of_units": self._of_units,
            "count": self.steps_averaged,
            "curves": self.trace,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.mask, self.squares, self.steps_averaged = state["mask"], state["squares"], state["count"]
        self._of_units = state.get("of_units", torch.empty(0))
        self.curves.load(state["curves"])


def _compiles(values: Tensor) -> bool:
    """Return whether compiled passes can take these values: on a processor, float32 or float64."""
    return values.device.type == "cpu" and values.dtype in masked_step.TYPES


def _shares(mask: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Return the mean of the entries and the share of them above one half."""
    if _compiles(mask):
        from nets.masking.kernels import totals

        total, above = totals(mask.view(-1).numpy())
        return total / mask.numel(), above / mask.numel()
    return mask.mean(), (mask > 0.5).to(mask.dtype).mean()


def critical_step(penalty: Penalty) -> float:
    """Return the step beyond which the proximal point of 1 in [0, 1] is one half or less, by bisection."""
    low, high = 1e-9, 1e9
    for _ in range(100):
        middle = math.sqrt(low * high)
        if penalty.prox(1.0, middle, lower=0.0, upper=1.0) > 0.5:
            low = middle
        else:
            high = middle
    return low


def proximal_table(penalty: Penalty, critical: float) -> Tensor:
    """Return the boxed proximal point of 1 for the ratios h / h_critical that `look_up` tells apart.

    Each entry is taken at the middle of its ratios, at the step ``critical * h_critical / h``: the first half
    is what falls to one half or below, the second what stays.
    """
    octave = torch.arange(OCTAVES, dtype=torch.float64) - OCTAVES // 2
    part = (torch.arange(PARTS, dtype=torch.float64) + 0.5) / PARTS
    ratio = (2.0 ** octave[:, None] * (1.0 + part)).reshape(-1)
    step = critical / ratio
    table: Tensor = penalty.prox(torch.ones_like(step), step, lower=0.0, upper=1.0)
    table[0] = 0.0  # stands for all smaller ones, h = 0 among them
    return table


def look_up(table: Tensor, values: Tensor, out: Tensor, unit: Tensor | float = 1.0) -> None:
    """Write the entry of a `proximal_table` for every ratio h / h_critical to `out`; the values are used up.

    The leading bits of a positive float are its octave and its part of it, so no logarithm is taken. A ratio
    between two entries belongs to the lower, and so does the border itself: 1 is the last of what falls.

    Parameters
    ----------
    table : Tensor
        Shape (POINTS,).
    values : Tensor
        h, shape (n,).
    out : Tensor
        Shape (n,).
    unit : Tensor or float
        h_critical, shape () or (n,).
    """
    if isinstance(unit, Tensor) and unit.dim():
        values, unit = values.div_(unit), 1.0
    if values.dtype == torch.float64:
        whole, mantissa, one = torch.int64, 52, 1023
    else:
        values = values.to(torch.float32)
        whole, mantissa, one = torch.int32, 23, 127
    shift = mantissa - (PARTS.bit_length() - 1)
    first = ((one - OCTAVES // 2) << mantissa) + 1
    if _compiles(table) and table.dtype == values.dtype:
        from nets.masking import kernels  # in one pass; torch takes five

        kernels.look_up(table.numpy(), values.numpy(), float(unit), first, shift, out.numpy())
        return
    places = values.div_(unit).view(whole).sub_(first).bitwise_right_shift_(shift).clamp_(0, POINTS - 1)
    torch.index_select(table, 0, places, out=out)

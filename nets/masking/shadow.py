"""The maskable weights of any network beside it: the network reads theta * m, the optimiser steps on theta.

The parameters stay the objects that they are, in the memory that they have: tied weights, the flattened
weights of an LSTM, wrappers and captured graphs notice nothing. Only while the optimiser steps do they point
to theta, which lies behind the scenes in one flat vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nets.masking.layout import Layout, tied


class Shadow:
    """The weights theta of a network as `nets.masking.course.Weights`.

    Parameters
    ----------
    model : Module
        Any network.
    names : sequence of str
        Its maskable parameters.

    Attributes
    ----------
    layout : Layout
        Their names and shapes.
    optimiser : Optimizer or None
        The one that steps on them.
    table : object
        What `nets.masking.masked_step` keeps from step to step; None where theta or the network has moved.

    Raises
    ------
    ValueError
        If they have several dtypes or devices.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        parameters = dict(model.named_parameters())
        kinds = {(parameters[name].dtype, parameters[name].device) for name in names}
        if len(kinds) > 1:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ValueError(
                f"the masked parameters must share one dtype and device, found {found}: mask those of one "
                "kind, by include or exclude"
            )
        self.model = model
        self.layout = Layout.of(model, names)
        self.n = self.layout.total
        self.parameters = [parameters[name] for name in names]
        self.optimiser: torch.optim.Optimizer | None = None
        self._seen = [p.data for p in self.parameters]
        self._theta: Tensor | None = None
        self._views: list[Tensor] = []
        self._versions: list[int] = []
        self._shown: tuple[Tensor, list[Tensor]] = (torch.empty(0), [])
        self._scale = 1.0
        self._buffer: Tensor | None = None
        self._gathered = False
        self._frozen = False
        self._kept: list[tuple[nn.Parameter, Tensor | None, Tensor | None]] = []
        self._inside = False
        self._stepped: list[nn.Parameter] = []
        self.table: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "table": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """See the memory of the copied parameters, which the copies of its views are not."""
        vars(self).update(state)
        self._seen = [p.data for p in self.parameters]
        self._views = [] if self._theta is None else self._split(self._theta)
        self._note()

    def _split(self, flat: Tensor) -> list[Tensor]:
        return list(self.layout.split(flat).values())

    @property
    def weights(self) -> Tensor:
        """theta, shape (n,); a copy unless the network sees weights of their own (`separate`)."""
        if self._theta is not None:
            return self._theta
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    @property
    def gradients(self) -> Tensor:
        """Gradient of the weights as the network sees them, shape (n,); what is written is stepped along."""
        if self._buffer is None:
            self._buffer = torch.zeros(self.n, dtype=self._seen[0].dtype, device=self._seen[0].device)
        if not self._gathered:
            for p, part in zip(self.parameters, self._split(self._buffer)):
                if p.grad is None:
                    part.zero_()
                else:
                    part.copy_(_dense(p.grad))
            self._gathered = True
        return self._buffer

    def separate(self) -> None:
        """Let the network see weights of their own, which `show` and `write` set, in place of theta."""
        if self._theta is None:
            self._theta = self.weights
            self._views = self._split(self._theta)
            self.table = None
            self._note()

    def unite(self) -> None:
        """Let the network see theta again."""
        if self._theta is not None:
            self.write(self._theta)
            self._theta = self.table = None

    def show(self, mask: Tensor, scale: float = 1.0) -> None:
        """Let the network see theta * mask * scale."""
        masks = self._shown[1] if self._shown[0] is mask else self._split(mask)
        self._shown, self._scale = (mask, masks), scale
        if mask.device.type == "cpu":
            for seen, theta, part in zip(self._seen, self.sources, masks):
                torch.mul(theta, part, out=seen)
        else:
            if self._theta is not None:
                torch._foreach_copy_(self._seen, self.sources)
            torch._foreach_mul_(self._seen, masks)
        if scale != 1.0:
            torch._foreach_mul_(self._seen, scale)

    def write(self, values: Tensor) -> None:
        """Let the network see these values."""
        self._shown = values, []
        for seen, part in zip(self._seen, self._split(values)):
            seen.copy_(part)

    def scale_gradients(self, mask: Tensor, squares: Tensor | None = None) -> None:
        """Multiply the gradients by the mask, and add their squares before it to `squares`."""
        if self._gathered:
            gradients = self.gradients
            if squares is not None:
                squares.addcmul_(gradients, gradients)
            gradients.mul_(mask)
            return
        masks = self._shown[1] if self._shown[0] is mask else self._split(mask)
        for p in self.parameters:
            if p.grad is not None and p.grad.is_neg():  # what acts in place would refuse it
                p.grad = p.grad.resolve_neg()
        there = [(i, _dense(p.grad)) for i, p in enumerate(self.parameters) if p.grad is not None]
        if not there:
            return
        found = [gradient for _, gradient in there]
        if squares is not None and _in_one_pass(found):
            from nets.masking.kernels import scaled

            arrays, offsets = (mask.numpy(), squares.numpy()), self.layout.offsets
            for i, gradient in there:
                ours = slice(offsets[i], offsets[i + 1])
                whole = gradient.detach().view(ours.stop - ours.start)  # refused if it is of another size
                scaled(whole.numpy(), arrays[0][ours], arrays[1][ours])
            return
        if squares is not None:
            parts = self._split(squares)
            torch._foreach_addcmul_([parts[i] for i, _ in there], found, found)
        torch._foreach_mul_(found, [masks[i] for i, _ in there])

    def zero(self, gone: Tensor) -> None:
        """Set theta to zero where `gone`, boolean, shape (n,), and let the optimiser forget it there."""
        places = self._split(gone)
        for weights, place in zip(self.sources, places):
            weights.masked_fill_(place, 0.0)
        if self.optimiser is not None:
            for p, place in zip(self.parameters, places):
                for vector in self.optimiser.state.get(p, {}).values():
                    if isinstance(vector, Tensor) and vector.shape == p.shape:
                        vector.masked_fill_(place, 0.0)

    def freeze(self) -> None:
        """Keep every parameter of the network as it is over the optimiser's step."""
        self._frozen = True

    def thaw(self) -> None:
        """End what `freeze` began: nothing is left to do."""

    @property
    def untouched(self) -> bool:
        """Whether the gradients of this step are as the network left them, and a step may follow them."""
        return not self._gathered and not self._frozen

    @property
    def sources(self) -> list[Tensor]:
        """The weights theta, a tensor each."""
        return self._seen if self._theta is None else self._views

    def stepped(self, parameters: list[nn.Parameter]) -> None:
        """Let the optimiser leave parameters out: they, all masked ones among them, have been stepped."""
        self._stepped = parameters
        for p in parameters:  # a backward pass through the weights before is refused, as after any step
            torch.autograd.graph.increment_version(p)

    def enter(self) -> None:
        """Let the optimiser find theta and its gradient in the parameters."""
        self._inside = True
        if self._stepped:
            for p in self._stepped:
                self._keep_gradient(p, None)
            return
        if self._frozen:
            for p in self.model.parameters():
                self._keep_gradient(p, None)
        elif self._gathered:
            for p, part in zip(self.parameters, self._split(self.gradients)):
                if p.grad is not None:
                    self._keep_gradient(p, part)
        if self._theta is None:
            return
        for p, theta in zip(self.parameters, self._views):
            p.data = theta
            if p.grad is not None and p.grad.stride() != theta.stride():
                self._keep_gradient(p, p.grad.contiguous())

    def _keep_gradient(self, p: nn.Parameter, instead: Tensor | None) -> None:
        self._kept.append((p, p.grad, instead))
        p.grad = instead

    def leave(self) -> None:
        """Give the network its own memory back, and the gradients that it had."""
        if self._theta is not None and not self._stepped:
            for p, seen in zip(self.parameters, self._seen):
                p.data = seen
        for p, gradient, instead in reversed(self._kept):
            if p.grad is instead:  # after a step that failed there may be new ones
                p.grad = gradient
        self._kept.clear()
        self._inside = self._frozen = self._gathered = False
        self._stepped = []

    def settle(self) -> None:
        """Put things right after a step that failed, and take up weights that were written from outside.

        What `load_state_dict` or a user wrote into the network becomes theta; where it is what the network
        saw anyway (weights averaged and put back, weights clipped) theta stays.
        """
        if self._inside or self._stepped:
            self.leave()
        moved = [
            i
            for i, (p, seen) in enumerate(zip(self.parameters, self._seen))
            if p.data_ptr() != seen.data_ptr() or p.numel() != seen.numel()
        ]
        for i in moved:
            p, seen = self.parameters[i], self._seen[i]
            if (p.dtype, p.device, p.shape) != (seen.dtype, seen.device, seen.shape):
                raise ValueError(
                    f"{self.layout.names[i]} was {seen.dtype} on {seen.device} {tuple(seen.shape)} and is "
                    f"now {p.dtype} on {p.device} {tuple(p.shape)}: change the network before it is masked"
                )
        if moved:
            self.table = None
        if self._theta is None:
            for i in moved:
                self._seen[i] = self.parameters[i].data
            return
        if changed := self._written():
            self._theta.copy_(self.taken_up())
            for i in changed:
                self._seen[i] = self.parameters[i].data
            self._note()

    def _written(self) -> list[int]:
        return [
            i
            for i, p in enumerate(self.parameters)
            if p._version != self._versions[i] or p.data_ptr() != self._seen[i].data_ptr()
        ]

    def taken_up(self) -> Tensor:
        """Return theta, shape (n,), with what was written into the network since the last step."""
        theta = self.weights
        if self._theta is None or not (changed := self._written()):
            return theta
        theta = theta.clone()
        parts, masks = self._split(theta), self._shown[1]
        for i in changed:
            seen, part = self.parameters[i].data, parts[i]
            if masks:
                shown = part * masks[i] if self._scale == 1.0 else part * masks[i] * self._scale
                part.copy_(torch.where(seen == shown, part, seen))
            else:
                part.copy_(seen)
        return theta

    def _note(self) -> None:
        self._versions = [p._version for p in self.parameters]

    def note(self) -> None:
        """Remember the weights as they stand: later changes from outside are noticed by `settle`."""
        if self._theta is not None:
            self._note()

    def is_live(self, state: Mapping[str, Tensor]) -> bool:
        """Tell whether a state holds the masked parameters themselves, as the last step left them."""
        if self._theta is not None and self._written():
            return False
        own = zip(self.layout.names, self._seen)
        return any(name in state and state[name].data_ptr() == seen.data_ptr() for name, seen in own)

    def snapshot(self, theta: Tensor | None = None) -> dict[str, Tensor]:
        """Return a copy of the network's whole state, theta in the place of masked weights."""
        state: dict[str, Any] = self.model.state_dict()
        names = tied(self.model)
        theta = self._theta if theta is None else theta
        whole = {} if theta is None else self.layout.split(theta)
        return {n: (whole[names[n]] if names.get(n) in whole else t).clone() for n, t in state.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state returned by `snapshot` into the network, in place; it sees theta again."""
        self.unite()
        self.model.load_state_dict(state)


def _in_one_pass(gradients: Sequence[Tensor]) -> bool:
    """Tell whether the compiled pass takes these: on a processor, plain in memory, of a usual type."""
    return all(
        g.is_cpu and g.is_contiguous() and g.dtype in (torch.float32, torch.float64) for g in gradients
    )


def _dense(gradient: Tensor) -> Tensor:
    if gradient.layout != torch.strided:
        raise ValueError("a masked embedding needs dense gradients: build it with sparse=False, or exclude")
    return gradient

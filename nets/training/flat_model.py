"""A network whose trained parameters lie in one flat vector, the maskable ones first.

Every step on weights, masks and gradients is then one call for all layers. The network itself is left as it
is: its parameters become views of the flat vector and its forward pass is the dense one, whatever mask acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nets.masking.layout import Layout, maskable, tied


class FlatModel:
    """Flat views on the parameters and gradients of a network.

    Parameters
    ----------
    model : Module
        The network, changed in place: its trained parameters become views of `weights`.
    include, exclude, units
        Which tensors are maskable; see `nets.masking.layout.maskable`.

    Attributes
    ----------
    model : Module
        The network.
    layout : Layout
        Names and shapes of the maskable tensors.
    n : int
        Number of maskable weights.
    parameter : Parameter
        Flat vector that the optimiser steps on, shape (total,); its ``grad`` is `gradients`.
    weights, gradients : Tensor
        Views of the first `n` entries of the parameter and of its gradient.
    effective : Tensor
        The maskable weights as the network sees them, shape (n,): `weights` itself until `separate`.
    """

    def __init__(
        self,
        model: nn.Module,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        units: bool = False,
    ) -> None:
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        names = maskable(model, include, exclude, units=units)
        kinds = {(p.dtype, p.device) for p in parameters.values()}
        if len(kinds) > 1:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ValueError(
                f"the trained parameters must share one dtype and device, found {found}; in a loop of your "
                "own only the masked ones must (nets.Masking)"
            )
        ordered = [*names, *(name for name in parameters if name not in set(names))]
        self.model = model
        #: Steps on the parameter, once there is one.
        self.optimiser: torch.optim.Optimizer | None = None
        self.layout = Layout.of(model, names)
        self.n = self.layout.total
        self._all = Layout.of(model, ordered)
        self._parameters = [parameters[name] for name in ordered]
        flat = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        self.parameter = nn.Parameter(flat)
        self.parameter.grad = torch.zeros_like(flat)
        self.gradients = self.parameter.grad[: self.n]
        self.weights = self.parameter.data[: self.n]
        self.effective = self.weights
        self._held = self.weights
        self._point(self._parameters, self._all, self.parameter.data, self.parameter.grad)

    @property
    def gradients_of_all(self) -> Tensor:
        """Gradient of the whole flat parameter, shape (total,)."""
        assert self.parameter.grad is not None
        return self.parameter.grad

    @staticmethod
    def _point(parameters: Sequence[nn.Parameter], layout: Layout, data: Tensor, grad: Tensor | None) -> None:
        for p, view in zip(parameters, layout.split(data).values()):
            p.data = view
        if grad is not None:
            for p, view in zip(parameters, layout.split(grad).values()):
                p.grad = view

    @property
    def _maskable_parameters(self) -> list[nn.Parameter]:
        return self._parameters[: len(self.layout.names)]

    def separate(self) -> None:
        """Let the network see `effective`, a vector of its own, while the optimiser steps on `weights`.

        A relaxed mask m then costs one product a step for all layers, ``effective = weights * m``, and the
        gradient that arrives in `gradients` is that of the effective weights.
        """
        if self.effective is self.weights:
            self.effective = self.weights.clone()
            self._point(self._maskable_parameters, self.layout, self.effective, None)

    def unite(self) -> None:
        """Let the network see `weights` again."""
        if self.effective is not self.weights:
            self.effective = self.weights
            self._point(self._maskable_parameters, self.layout, self.weights, None)

    def show(self, mask: Tensor, scale: float = 1.0) -> None:
        """Let the network see theta * mask * scale; see `separate`."""
        torch.mul(self.weights, mask, out=self.effective)
        if scale != 1.0:
            self.effective.mul_(scale)

    def write(self, values: Tensor) -> None:
        """Let the network see these values; see `separate`."""
        self.effective.copy_(values)

    def scale_gradients(self, mask: Tensor, squares: Tensor | None = None) -> None:
        """Multiply the gradients by the mask, and add their squares before it to `squares`."""
        if squares is not None:
            squares.addcmul_(self.gradients, self.gradients)
        self.gradients.mul_(mask)

    def zero(self, gone: Tensor) -> None:
        """Set theta to zero where `gone`, boolean, shape (n,), and let the optimiser forget it there."""
        self.weights.masked_fill_(gone, 0.0)
        state = {} if self.optimiser is None else self.optimiser.state.get(self.parameter, {})
        for vector in state.values():
            if isinstance(vector, Tensor) and vector.shape == self.parameter.shape:
                vector[: self.n].masked_fill_(gone, 0.0)

    def freeze(self) -> None:
        """Keep all parameters as they are over the step that follows, up to `thaw`."""
        self._held = self.parameter.data.clone()
        self.gradients_of_all.zero_()

    def thaw(self) -> None:
        """Undo what momentum and decay did to frozen parameters."""
        self.parameter.data.copy_(self._held)

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the network's whole state (parameters as optimised, buffers), by name."""
        state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.effective is not self.weights:
            whole, names = self.layout.split(self.weights), tied(self.model)
            state |= {name: whole[names[name]].clone() for name in state if names.get(name) in whole}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state returned by `snapshot` into the network, in place; it sees `weights` again."""
        self.unite()
        self.model.load_state_dict(state)  # copies into the views

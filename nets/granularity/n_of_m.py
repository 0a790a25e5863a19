"""N:M sparsity: of M consecutive weights along the inputs of a unit N are kept; GPUs multiply by 2:4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nets.granularity.groups import Groups
from nets.masking.layout import Layout


class NOfM(Groups):
    """Keep N of every M consecutive weights along the inputs of each unit.

    The inputs of a unit are a row of a linear layer's weight; of a convolution, the row over kernel positions
    and input channels, channels innermost, as the matrix product of a convolution on channels-last images has
    them. M consecutive weights are thus M channels at one position wherever M divides the channels. What is
    left at the end of a row, r < M weights, keeps min(N, r): as if the row were padded with zeros.

    On the way to the final mask (rounds, gradual pruning, a falling target) the same groups keep K of M, with
    K from M down to N, so that each mask contains the next.

    Parameters
    ----------
    n, m : int
        N and M.
    model : Module
        The network.
    layout : Layout
        Its maskable weights.

    Raises
    ------
    ValueError
        If a masked tensor has no inputs: vectors, and weights of transposed convolutions.
    """

    fixed = True

    def __init__(self, n: int, m: int, model: nn.Module, layout: Layout) -> None:
        self.name = f"{n}:{m}"
        self.n, self.m = n, m
        self.total = layout.total
        transposed = {
            f"{prefix}.weight" if prefix else "weight"
            for prefix, module in model.named_modules()
            if isinstance(module, nn.modules.conv._ConvTransposeNd)
        }
        parts = []
        for name, shape, offset in zip(layout.names, layout.shapes, layout.offsets):
            if len(shape) < 2 or name in transposed:
                raise ValueError(
                    f"{name} of shape {shape} has no rows of inputs to keep {self.name} of; exclude it"
                )
            parts.append(_rows(shape, offset, m, layout.total))
        #: Flat places of the weights of every group, shape (groups, M); padding points behind the last one.
        self.index = torch.cat(parts)
        self._final = self._kept(n)

    def _kept(self, k: int) -> int:
        """Return the weights that K of M keep."""
        return int((self.index < self.total).sum(1).clamp(max=k).sum())

    def _k(self, count: int) -> int:
        """Return the K nearest to a count, N for the final one."""
        if count <= self._final:
            return self.n
        return min(self.m, max(self.n, round(count / self.total * self.m)))

    def count(self, density: float) -> int:
        """Return the number of weights that N:M keeps, which no density changes."""
        return self._final

    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Keep the K of highest score in each group, ties to the first; all layers have the same density."""
        kept = self.m if count >= self.total else self._k(count)
        place = self._grouped(scores, -torch.inf).sort(dim=1, descending=True, stable=True).indices[:, :kept]
        mask = torch.zeros(self.total + 1, dtype=torch.bool, device=scores.device)
        mask[self._index(scores).gather(1, place)] = True
        return mask[:-1]

    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError unless every group keeps exactly N, or all of fewer."""
        kept = self._grouped(mask.to(torch.int64), 0).sum(1)
        size = (self._index(mask) < self.total).sum(1)
        odd = int((kept != size.clamp(max=self.n)).sum())
        if odd:
            raise AssertionError(f"{odd} groups of {self.m} weights do not keep {self.n}")

    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return N of every M by random order, those that the mask has pruned first where `others` is set."""
        return self.select(order + (~mask).to(order.dtype) if others else order, self._final)

    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return for every weight the largest value of its group that is dropped at K of M, shape (n,)."""
        kept = self._k(round(density * self.total))
        if kept == self.m:
            return None
        ordered = self._grouped(values, -torch.inf).sort(dim=1, descending=True, stable=True).values
        out = values.new_zeros(self.total + 1)
        out[self._index(values)] = ordered[:, kept : kept + 1].expand(-1, self.m)
        return out[:-1]

    def _index(self, like: Tensor) -> Tensor:
        self.index = self.index.to(like.device)
        return self.index

    def _grouped(self, values: Tensor, padding: float) -> Tensor:
        return torch.cat([values, values.new_full((1,), padding)])[self._index(values)]


def _rows(shape: tuple[int, ...], offset: int, m: int, padding: int) -> Tensor:
    """Return the places of the groups of one tensor, shape (groups, m), whose rows start at `offset`."""
    size = torch.Size(shape).numel()
    places = torch.arange(offset, offset + size).view(shape).movedim(1, -1).reshape(shape[0], -1)
    return nn.functional.pad(places, (0, -places.shape[1] % m), value=padding).view(-1, m)

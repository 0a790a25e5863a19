"""Mask entries and what ties them to one another: what a granularity must tell."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Groups(ABC):
    """Mask entries that stand or fall by a common rule, over the flat vector of maskable weights, shape (n,).

    Attributes
    ----------
    name : str
        The granularity as the user writes it.
    fixed : bool
        Whether it fixes the density, whatever is asked for.
    total : int
        n.
    """

    name: str
    fixed: bool = False
    total: int

    @property
    def whole(self) -> int:
        """What a density is a share of: the number of weights, unless the granularity counts otherwise."""
        return self.total

    @property
    def entries(self) -> int:
        """Number of mask entries that may be trained on their own; here one a weight."""
        return self.total

    def spread(self, own: Tensor, others: float = 1.0) -> Tensor:
        """Return entries, shape (entries,), at the weights that they mask, shape (n,); differentiable.

        Parameters
        ----------
        own : Tensor
            One value an entry.
        others : float
            Value at weights that no entry masks.
        """
        return own

    def gather(self, values: Tensor) -> Tensor:
        """Return sums of values, shape (n,), over the weights that each entry masks, shape (entries,)."""
        return values

    @abstractmethod
    def count(self, density: float) -> int:
        """Return how many weights a mask of this density keeps, or keeps at most."""

    @abstractmethod
    def select(
        self, scores: Tensor, count: int, distribution: str = "global", pooling: str = "sum"
    ) -> Tensor:
        """Return the mask of highest scores that obeys the rule.

        Parameters
        ----------
        scores : Tensor
            One a weight, shape (n,), no NaN; minus infinity where a weight is pruned already.
        count : int
            Weights to keep.
        distribution : str
            See `nets.masking.selection.select`.
        pooling : str
            How entries that mask several weights are scored; see `nets.masking.selection.select`.

        Returns
        -------
        Tensor
            Boolean, shape (n,).
        """

    @abstractmethod
    def redraw(self, mask: Tensor, order: Tensor, others: bool) -> Tensor:
        """Return another mask of the same layer-wise densities that obeys the rule.

        Parameters
        ----------
        mask : Tensor
            Boolean, shape (n,).
        order : Tensor
            Random numbers in [0, 1) that decide, shape (n,).
        others : bool
            Whether what the mask has pruned goes first.
        """

    def show(self, mask: Tensor) -> Tensor:
        """Return a relaxed mask, shape (n,), with all that it takes along, so that its mean is a density."""
        return mask

    def report(self, mask: Tensor) -> dict[str, float]:
        """Return what there is to tell of a finished mask, e.g. the number of units kept."""
        return {}

    @abstractmethod
    def refuse(self, mask: Tensor, count: int) -> None:
        """Raise AssertionError if a mask breaks the rule or keeps another number of weights."""

    def share(self, values: Tensor) -> Tensor:
        """Return values of weights, shape (n,), added up over the weights that share a mask entry."""
        return values

    def last(self, values: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the place of the largest value of every layer, and whether it falls, as all others do.

        A layer without weights cuts the network in two, and no gradient ever brings one back. None where none
        is emptied, or the rule sees to it.
        """
        return None

    @abstractmethod
    def threshold(self, values: Tensor, density: float, spare: Tensor | None = None) -> Tensor | None:
        """Return the value up to which entries are dropped at a density; None if none are.

        Parameters
        ----------
        values : Tensor
            Shape (n,), as `share` returns them.
        density : float
            Density wanted, which may lie above that of the finished mask.
        spare : Tensor, optional
            Memory like that of the values, to work in.

        Returns
        -------
        Tensor or None
            Shape () or (n,).
        """

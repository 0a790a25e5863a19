"""How methods plug into the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from nets.training import Loop


class Hook:
    """Something that acts during a training; override what is needed, the rest costs nothing.

    A hook works on the flat vectors of ``loop.flat`` (`nets.flat_model.FlatModel`): ``weights``,
    ``gradients`` and ``effective``, shape (n,) each. The order of one step is

    before_step -> forward, backward -> after_backward -> optimiser step, gradients zeroed -> after_step.

    `state_dict` and `load_state_dict` must hold everything that a resumed training needs to continue to the
    bit; whatever is derived from it is recomputed in `start`.

    Attributes
    ----------
    watches_only : bool
        True for a hook that changes nothing and has no state (progress, tracking, checkpoints): it is no part
        of the state of a training, so it may come and go between an interruption and the resumption.
    """

    watches_only: ClassVar[bool] = False

    def start(self, loop: Loop) -> None:
        """Act once before the first step; on a resumed loop after the state was loaded."""

    def before_step(self, loop: Loop) -> None:
        """Act before the forward pass."""

    def after_backward(self, loop: Loop) -> None:
        """Act on the gradients before the optimiser sees them."""

    def take_step(self, loop: Loop) -> bool:
        """Take the optimiser's step and zero the gradients in place of the loop and return True, or False.

        One hook at most may do so; the hooks' `after_backward` come before it.
        """
        return False

    def after_step(self, loop: Loop) -> None:
        """Act after the optimiser step; ``loop.step`` counts the steps done."""

    def end_epoch(self, loop: Loop) -> dict[str, float] | None:
        """Act after an epoch; the numbers returned join the metrics of the epoch."""
        return None

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """See the metrics of an epoch that has ended, those that the hooks returned among them."""

    def finish(self, loop: Loop) -> None:
        """Act once after the last step."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values that `load_state_dict` takes back."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""

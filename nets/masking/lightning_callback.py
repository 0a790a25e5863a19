"""A mask in a Lightning training: ``Trainer(callbacks=[MaskingCallback(density=0.05)])``."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from nets.masking.masking import Masking


class MaskingCallback(Callback):  # type: ignore[misc,unused-ignore]
    """Let `nets.Masking` act on the first optimiser of a `LightningModule`; checkpoints hold its state.

    Parameters
    ----------
    **settings
        Those of `nets.Masking`; `steps` is the trainer's own estimate unless it is given.

    Attributes
    ----------
    masking : Masking
        From the start of the training on: ``callback.masking.ticket(weights=initial_state)``.
    """

    masking: Masking

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach the mask, in the state that a checkpoint held."""
        if len(trainer.optimizers) != 1:
            raise ValueError(f"a mask acts through one optimiser, this module has {len(trainer.optimizers)}")
        steps = self._settings.get("steps", trainer.estimated_stepping_batches)
        settings = {**self._settings, "steps": int(steps)}
        if hasattr(self, "masking"):  # of a training before
            self.masking.remove()
        self.masking = Masking(pl_module, trainer.optimizers[0], **settings)
        if self._loaded is not None:
            self.masking.load_state_dict(self._loaded)
            self._loaded = None  # a training after this one begins anew

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the mask for a checkpoint."""
        return self.masking.state_dict() if hasattr(self, "masking") else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of a checkpoint until the training starts."""
        self._loaded = state_dict or None

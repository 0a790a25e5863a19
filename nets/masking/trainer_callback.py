"""A mask in a training by Hugging Face: ``Trainer(callbacks=[MaskingTrainerCallback(density=0.05)])``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from nets.masking.masking import Masking

FILE = "masking.pt"


class MaskingTrainerCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Let `nets.Masking` act on the optimiser of a `Trainer`; checkpoints hold its state, in `masking.pt`.

    Parameters
    ----------
    **settings
        Those of `nets.Masking`; `steps` are the trainer's own unless they are given.

    Attributes
    ----------
    masking : Masking
        From the start of the training on: ``callback.masking.ticket(weights=initial_state)``.
    """

    masking: Masking

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **others: Any
    ) -> None:
        """Attach the mask, in the state of the checkpoint that the training resumes from."""
        if hasattr(self, "masking"):  # of a training before
            self.masking.remove()
        self.masking = Masking(model, optimizer, **{"steps": state.max_steps, **self._settings})
        stored = self._folder(args, state) / FILE
        if state.global_step and stored.exists():
            self.masking.load_state_dict(torch.load(stored, map_location=args.device, weights_only=True))

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Store the mask beside the checkpoint that was just written."""
        if state.is_world_process_zero:
            torch.save(self.masking.state_dict(), self._folder(args, state) / FILE)

    @staticmethod
    def _folder(args: Any, state: Any) -> Path:
        return Path(args.output_dir) / f"checkpoint-{state.global_step}"

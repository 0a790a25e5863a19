"""Losses with what a loop beyond a mean needs: sums, counts, and the divergence from another network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Targets that no loss and no metric looks at, as in `torch.nn.CrossEntropyLoss`.
IGNORED = -100


def samples(target: Any) -> int:
    """Return the number of samples of a batch, from its target."""
    while isinstance(target, (tuple, list)) or (isinstance(target, Mapping) and target):
        target = next(iter(target.values())) if isinstance(target, Mapping) else target[0]
    return len(target)


def prediction(output: Any) -> Tensor:
    """Return the tensor of an output: itself, or the `logits` of an object or dict that has them.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(output, Tensor):
        return output
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if not isinstance(found, Tensor):
        raise TypeError(
            f"the network returned a {type(output).__name__}, neither a tensor nor anything with logits: "
            "give a nets.Task whose loss and metric read it"
        )
    return found


@lru_cache(maxsize=32)
def _vector(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, device=device, dtype=dtype)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of logits, shape (n, k, ...), against class indices, shape (n, ...).

    Parameters
    ----------
    weights : tuple of float or "balanced"
        Weight of each class; "balanced": n / (k n_c), from the training part. Empty: all 1.
    label_smoothing : float
        Share of the target that is spread over all classes.
    ignore_index : int
        Targets that do not count.
    """

    weights: tuple[float, ...] | str = ()
    label_smoothing: float = 0.0
    ignore_index: int = IGNORED

    def __post_init__(self) -> None:
        if self.weights != "balanced":
            weights = self.weights
            if isinstance(weights, str):
                raise ValueError(f"weights are numbers or 'balanced', got {weights!r}")
            object.__setattr__(self, "weights", tuple(float(w) for w in weights))
            if any(not 0 <= w < math.inf for w in self.weights):  # type: ignore[operator]
                raise ValueError(f"class weights must be 0 or more, got {weights!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing!r}")

    def aligned(self, output: Any, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, k, ...) and the class indices (n, ...) that they are compared with."""
        return prediction(output), target

    def _of(self, output: Any, target: Tensor, reduction: str) -> Tensor:
        logits, indices = self.aligned(output, target)
        weights = self.weights
        assert not isinstance(weights, str), "balanced weights are taken from the data first"
        if weights and len(weights) != logits.shape[1]:
            raise ValueError(f"there are {len(weights)} class weights for {logits.shape[1]} classes")
        return functional.cross_entropy(
            logits,
            indices,
            weight=_vector(weights, logits.device, logits.dtype) if weights else None,
            ignore_index=self.ignore_index,
            reduction=reduction,
            label_smoothing=self.label_smoothing,
        )

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        """Return the mean over the targets that count, weighted."""
        return self._of(output, target, "mean")

    def total(self, output: Any, target: Tensor) -> Tensor:
        """Return the weighted sum."""
        return self._of(output, target, "sum")

    def count(self, target: Tensor) -> Any:
        """Return the sum of the weights of the targets that count."""
        return self._counted(target)

    def _counted(self, target: Tensor) -> Any:
        counts = target != self.ignore_index
        if self.weights:
            assert not isinstance(self.weights, str)
            weights = _vector(self.weights, target.device, torch.float32)
            return (weights[target.clamp(0, len(weights) - 1)] * counts).sum()
        # On an accelerator a number would have to be waited for.
        return int(counts.sum()) if target.device.type == "cpu" else counts.sum()

    def divergence(self, output: Any, reference: Any) -> Tensor:
        """Return KL(output || reference), averaged over samples (and pixels, tokens)."""
        own, other = (
            functional.log_softmax(_classes_last(self._logits(o)), dim=1) for o in (output, reference)
        )
        return functional.kl_div(other, own, reduction="batchmean", log_target=True)

    def _logits(self, output: Any) -> Tensor:
        return prediction(output)

    def balanced(self, targets: Tensor) -> CrossEntropy:
        """Return the loss with weights n / (k n_c) of the classes in `targets`."""
        valid = targets[targets != self.ignore_index].reshape(-1)
        counts = torch.bincount(valid).to(torch.float64)
        if not bool((counts > 0).all()):
            raise ValueError("balanced weights need every class in the training part; give the weights")
        return replace(self, weights=tuple((len(valid) / (len(counts) * counts)).tolist()))


def _classes_last(logits: Tensor) -> Tensor:
    return logits if logits.dim() == 2 else logits.movedim(1, -1).flatten(0, -2)


@dataclass(frozen=True)
class NextToken(CrossEntropy):
    """Cross-entropy of the next token: logits (n, t, k), tokens (n, t).

    Parameters
    ----------
    shift : bool
        Whether targets are the tokens of the sequence themselves, so that the output at place t is compared
        with the token at t + 1 (labels as Hugging Face has them); False: they are the next tokens already.
    """

    shift: bool = True

    @property
    def own_target(self) -> int | None:
        """Where inputs are targets themselves: what tokens that do not count are replaced by; else None."""
        return self.ignore_index if self.shift else None

    def aligned(self, output: Any, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (tokens, k) and the token that comes next, (tokens,)."""
        logits = prediction(output)
        if logits.dim() != 3 or logits.shape[:2] != target.shape:
            raise ValueError(
                "a language model returns logits (n, t, vocabulary) for tokens (n, t); got "
                f"{tuple(logits.shape)} "
                f"for {tuple(target.shape)}"
            )
        if self.shift:
            logits, target = logits[:, :-1], target[:, 1:]
        return logits.flatten(0, 1), target.reshape(-1)

    def count(self, target: Tensor) -> Any:
        """Return the number of tokens that are predicted."""
        return self._counted((target[:, 1:] if self.shift else target).reshape(-1))

    def _logits(self, output: Any) -> Tensor:
        return prediction(output).movedim(-1, 1)


@dataclass(frozen=True)
class Regression:
    """Squared error or Huber loss of outputs against targets of the same shape; (n, 1) goes with (n,).

    Parameters
    ----------
    kind : str
        "mse" or "huber".
    delta : float
        Where the Huber loss turns linear.
    """

    kind: str = "mse"
    delta: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("mse", "huber"):
            raise ValueError(f"the loss of a regression is mse or huber, got {self.kind!r}")
        if not self.delta > 0:
            raise ValueError(f"delta must be positive, got {self.delta!r}")

    def _of(self, output: Any, target: Tensor, reduction: str) -> Tensor:
        fitted, target = fit(output, target)
        if self.kind == "mse":
            return functional.mse_loss(fitted, target, reduction=reduction)
        return functional.huber_loss(fitted, target, reduction=reduction, delta=self.delta)

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        """Return the mean over all entries."""
        return self._of(output, target, "mean")

    def total(self, output: Any, target: Tensor) -> Tensor:
        """Return the sum over all entries."""
        return self._of(output, target, "sum")

    def count(self, target: Tensor) -> int:
        """Return the number of entries."""
        return target.numel()


def fit(output: Any, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return output and target in one shape, refusing what would only broadcast.

    Raises
    ------
    ValueError
        If they do not hold the same entries.
    """
    found = prediction(output)
    if found.shape != target.shape:
        if [s for s in found.shape if s != 1] != [s for s in target.shape if s != 1]:
            raise ValueError(
                f"outputs of shape {tuple(found.shape)} do not go with targets of shape {tuple(target.shape)}"
            )
        found = found.reshape(target.shape)
    return found, target.to(found.dtype)


@dataclass(frozen=True)
class MultiLabel:
    """Binary cross-entropy of logits (n, k) against targets 0 or 1 of the same shape.

    Parameters
    ----------
    weights : tuple of float
        Weight of the positive targets of each label; empty: all 1.
    """

    weights: tuple[float, ...] = ()

    def _of(self, output: Any, target: Tensor, reduction: str) -> Tensor:
        logits, target = fit(output, target)
        weights = _vector(self.weights, logits.device, logits.dtype) if self.weights else None
        return functional.binary_cross_entropy_with_logits(
            logits, target, pos_weight=weights, reduction=reduction
        )

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        """Return the mean over samples and labels."""
        return self._of(output, target, "mean")

    def total(self, output: Any, target: Tensor) -> Tensor:
        """Return the sum over samples and labels."""
        return self._of(output, target, "sum")

    def count(self, target: Tensor) -> int:
        """Return samples times labels."""
        return target.numel()

    def divergence(self, output: Any, reference: Any) -> Tensor:
        """Return the mean over samples of the sum of KL(output || reference) over the labels."""
        own, other = prediction(output), prediction(reference)
        p = torch.sigmoid(own)
        kl = p * (functional.logsigmoid(own) - functional.logsigmoid(other))
        kl = kl + (1 - p) * (functional.logsigmoid(-own) - functional.logsigmoid(-other))
        return kl.sum() / len(own)

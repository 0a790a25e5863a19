"""Sparse networks as scikit-learn estimators: fit finds a ticket and trains it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data
from torch import Tensor, nn

from concave_sparsity import Penalty
from nets.configuration import Training
from nets.data import Dataset
from nets.lottery import find_ticket, retrain
from nets.tasks import CLASSIFICATION, Task
from nets.tasks.task import regression


class _TicketEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: a fully connected ReLU network, its ticket, its training."""

    def __init__(
        self,
        hidden: Sequence[int] = (100, 100),
        *,
        density: float = 0.2,
        method: str = "concave",
        penalty: Penalty | str = "log(0.02)",
        granularity: str = "weight",
        epochs: int = 60,
        batch_size: int = 32,
        learning_rate: float = 0.05,
        weight_decay: float = 1e-4,
        random_state: Any = 0,
    ) -> None:
        self.hidden = hidden
        self.density = density
        self.method = method
        self.penalty = penalty
        self.granularity = granularity
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def _fit(self, X: np.ndarray, y: Tensor, outputs: int, task: Task) -> None:
        """Find the ticket and train it on standardised inputs."""
        self.mean_, self.scale_ = X.mean(0), X.std(0)
        self.scale_[self.scale_ < 1e-12 * (1 + abs(self.mean_))] = 1.0
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        x = self._scaled(X)
        data = Dataset("given", x, y, x, y, x, y, outputs, task=task)  # only reports see the other parts
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for inputs, units in pairwise((x.shape[1], *self.hidden, outputs)):
                layers += [nn.Linear(inputs, units), nn.ReLU()]
        training = Training(
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(x)),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        model = nn.Sequential(*layers[:-1])
        self.ticket_ = find_ticket(
            model,
            data,
            self.method,
            density=self.density,
            penalty=self.penalty,
            granularity=self.granularity,
            training=training,
            seed=seed,
        )
        self.network_ = retrain(self.ticket_, model, data, training=training, seed=seed).model.eval()

    def _scaled(self, X: np.ndarray) -> Tensor:
        return torch.from_numpy(((X - self.mean_) / self.scale_).astype(np.float32))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        exact = copy.deepcopy(self.network_).double()  # so that no batch size shows in the digits
        with torch.inference_mode():
            out: np.ndarray = exact(self._scaled(X).double()).numpy()
        return out


class TicketClassifier(ClassifierMixin, _TicketEstimator):  # type: ignore[misc]
    """A sparse fully connected network that classifies.

    Parameters
    ----------
    hidden : sequence of int
        Units of the hidden layers (ReLU).
    density : float
        Share of the weights kept.
    method : str
        How the ticket is found; ``lottery methods`` lists them.
    penalty : Penalty or str
        For methods that take one.
    granularity : str
        "weight", "N:M" or "channel".
    epochs : int
        Epochs of the search, and of the training of the ticket.
    batch_size : int
        Samples a step.
    learning_rate, weight_decay : float
        Of SGD with momentum 0.9, one-cycle schedule.
    random_state : int, RandomState or None
        Fixes initial weights and the order of batches; a number fixes the result to the bit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    ticket_ : Ticket
        The ticket; `nets.export` writes and measures it with `network_`.
    network_ : Module
        The trained network, for standardised inputs ``(X - mean_) / scale_``.
    n_features_in_ : int
        Features seen in `fit`.
    """

    def fit(self, X: Any, y: Any) -> TicketClassifier:
        """Fit to samples X, shape (n, features), and their labels y, shape (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class only, {self.classes_[0]!r}; a classifier needs two")
        self._fit(X, torch.from_numpy(numbers.astype(np.int64)), len(self.classes_), CLASSIFICATION)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return logits, shape (n, n_classes); of two classes their difference, shape (n,)."""
        out = self._outputs(X)
        return out[:, 1] - out[:, 0] if out.shape[1] == 2 else out

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, shape (n, n_classes)."""
        out = self._outputs(X)
        shares = np.exp(out - out.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        return np.asarray(shares)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample, shape (n,)."""
        best = self._outputs(X).argmax(1)
        labels: np.ndarray = self.classes_[best]
        return labels


class TicketRegressor(RegressorMixin, _TicketEstimator):  # type: ignore[misc]
    """A sparse fully connected network that predicts numbers, by squared error.

    Parameters and attributes are those of `TicketClassifier`, without classes. Targets are standardised too.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> TicketRegressor:
        """Fit to samples X, shape (n, features), and targets y, shape (n,) or (n, outputs)."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._one = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        self.target_mean_, self.target_scale_ = y.mean(0), y.std(0)
        self.target_scale_[self.target_scale_ == 0] = 1.0
        target = torch.from_numpy(((y - self.target_mean_) / self.target_scale_).astype(np.float32))
        self._fit(X, target, y.shape[1], regression())
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions, shaped as the targets of `fit`."""
        out = self._outputs(X) * self.target_scale_ + self.target_mean_
        return np.asarray(out[:, 0] if self._one else out)

"""What targets mean: floats are numbers, never classes by rounding; a named task decides otherwise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.data import load
from nets.tasks import CrossEntropy


def rows(n=40, d=3):
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


@given(outputs=st.integers(1, 3), dtype=st.sampled_from([np.float32, np.float64]))
def test_floats_mean_regression_and_keep_their_values(outputs, dtype):
    y = np.arange(40 * outputs, dtype=dtype).reshape(40, outputs)
    y = y[:, 0] if outputs == 1 else y
    data = load((rows(), y), seed=3)
    assert data.task.name == "regression"
    assert data.n_classes == outputs
    assert data.y_train.dtype == torch.float32
    parts = torch.cat([data.part(part)[1] for part in ("train", "validation", "test")])
    assert sorted(parts.reshape(-1).tolist()) == sorted(y.reshape(-1).tolist())


def test_floats_are_classes_only_where_the_task_is_named():
    y = (np.arange(40) % 2).astype(np.float32)
    assert load((rows(), y)).task.name == "regression"
    data = load((rows(), y), task="classification")
    assert data.n_classes == 2
    assert data.y_train.dtype == torch.int64
    with pytest.raises(ValueError, match="fractional or missing"):
        load((rows(), y + 0.5), task="classification")


def test_a_torch_data_set_of_floats_is_a_regression():
    class Curve(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, k):
            return torch.full((2,), float(k)), 0.25 * k

    data = load(Curve())
    assert data.task.name == "regression"
    assert torch.equal(data.x_train[:, 0] / 4, data.y_train)


def test_targets_of_the_other_tasks():
    pixels = load((np.zeros((40, 1, 4, 4)), np.arange(640).reshape(40, 4, 4) % 3), task="per-pixel")
    assert pixels.y_train.shape[1:] == (4, 4)
    assert pixels.n_classes == 3
    bare = np.full((40, 4, 4), 255)
    bare[:, 0] = 2
    assert load((np.zeros((40, 1, 4, 4)), bare), task="per-pixel(ignore_index=255)").n_classes == 3
    several = load((rows(), np.eye(4)[np.arange(40) % 4].astype(int)), task="multi-label")
    assert (several.y_train.dtype, several.n_classes) == (torch.float32, 4)
    tokens = np.arange(400).reshape(40, 10) % 17
    text = load((tokens, tokens), task="language-model")
    assert (text.x_train.dtype, text.n_classes) == (torch.int64, 17)
    assert torch.equal(text.x_train, text.y_train)


@pytest.mark.parametrize(
    ("y", "task", "error", "message"),
    [
        (np.eye(40)[:, :3], "per-pixel", TypeError, "must hold integers for the task per-pixel"),
        (np.full(40, np.inf), None, ValueError, "y holds NaN or infinite"),
        (np.array(["a"] * 40), "regression", TypeError, "numbers of the task regression"),
        (np.zeros(39), None, ValueError, r"y must have shape \(40,\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(y, task, error, message):
    with pytest.raises(error, match=message):
        load((rows(), y), task=task)


def test_balanced_weights_come_from_the_training_part():
    y = np.repeat([0, 1], [30, 10])
    data = load((rows(), y), task="classification(weights=balanced)", test=0.0, validation=0.0)
    assert isinstance(data.task.loss, CrossEntropy)
    assert data.task.loss.weights == pytest.approx((40 / 60, 40 / 20))
    assert load((rows(), y)).task.loss.weights == ()

import dataclasses
import pickle

import pytest
import torch

from nets.data import Augmentation, Dataset


def images(n: int = 6, **changes) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (3 * n, 3, 8, 8), generator=generator, dtype=torch.uint8)
    y = torch.arange(3 * n) % 3
    fields = {
        "name": "noise",
        "x_train": x[:n],
        "y_train": y[:n],
        "x_validation": x[n : 2 * n],
        "y_validation": y[n : 2 * n],
        "x_test": x[2 * n :],
        "y_test": y[2 * n :],
        "n_classes": 3,
        "augmentation": Augmentation(pad=2, cutout=3),
        "mean": torch.tensor([0.4, 0.5, 0.6]),
        "std": torch.tensor([0.2, 0.25, 0.3]),
    }
    return Dataset(**(fields | changes))


def test_bytes_and_floats_give_the_same_batches():
    raw, floats = images(), images().as_float()
    assert raw.x_train.dtype == torch.uint8
    assert floats.x_train.dtype == torch.float32
    torch.testing.assert_close(raw.normalise(raw.x_train), floats.normalise(floats.x_train), rtol=0, atol=0)
    # A black pixel of padding is normalised like any other.
    one = raw.normalise(raw.augment(raw.x_train, torch.Generator().manual_seed(5)))
    two = floats.normalise(floats.augment(floats.x_train, torch.Generator().manual_seed(5)))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def test_normalise_is_the_textbook_formula():
    data = images()
    expected = (data.x_train.double() / 255 - data.mean.double().view(3, 1, 1)) / data.std.double().view(
        3, 1, 1
    )
    torch.testing.assert_close(data.normalise(data.x_train).double(), expected, rtol=1e-6, atol=1e-6)


def test_as_float_of_floats_is_the_same_object():
    data = images().as_float()
    assert data.as_float() is data
    assert data.to("cpu") is data


def test_shape_size_and_parts():
    data = images()
    assert (data.input_shape, data.n_train, data.device) == ((3, 8, 8), 6, torch.device("cpu"))
    assert data.nbytes == 18 * (3 * 8 * 8 + 8)
    assert data.part("test")[0] is data.x_test
    with pytest.raises(ValueError, match="unknown part 'dev'"):
        data.part("dev")


def test_subset_is_stratified_and_keeps_the_other_parts():
    data = images(n=60)
    small = data.subset(30, seed=1)
    assert small.y_train.bincount().tolist() == [10, 10, 10]
    assert small.x_test is data.x_test
    assert torch.equal(small.x_train, data.subset(30, seed=1).x_train)
    assert not torch.equal(small.x_train, data.subset(30, seed=2).x_train)
    assert data.subset(60) is data
    with pytest.raises(ValueError, match="leaves no training sample"):
        data.subset(0)
    with pytest.raises(ValueError, match="asks for 61 of 60"):
        data.subset(61)


def test_fingerprint_sees_every_change_but_the_name():
    data = images()
    assert data.fingerprint() == images(name="other").fingerprint()
    y = data.y_test.clone()
    y[0] = (y[0] + 1) % 3
    x = data.x_train.clone()
    x[0, 0, 0, 0] += 1
    changed = (
        {"y_test": y},
        {"x_train": x},
        {"augmentation": None},
        {"mean": data.mean + 0.1},
        {"n_classes": 4},
    )
    prints = {dataclasses.replace(data, **change).fingerprint() for change in changed}
    assert len(prints | {data.fingerprint()}) == len(changed) + 1


def test_pickles():
    data = images()
    again = pickle.loads(pickle.dumps(data))
    assert again.fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"y_train": torch.tensor([0, 1, 2, 0, 1, 3])}, ValueError, "labels 0 to 3; they must lie in 0 .. 2"),
        ({"y_train": torch.tensor([0, 1, 2, 0, 1, -1])}, ValueError, "labels -1 to 2"),
        ({"y_train": torch.zeros(5, dtype=torch.int64)}, ValueError, r"y_train must have shape \(6,\)"),
        ({"y_train": torch.zeros(6)}, TypeError, "y_train must be int64"),
        (
            {"x_test": torch.zeros((6, 3, 8, 8))},
            TypeError,
            "x_test must be float32, uint8 or int64, the same",
        ),
        ({"x_test": torch.zeros((6, 3, 9, 8), dtype=torch.uint8)}, ValueError, r"shape \(n, 3, 8, 8\)"),
        ({"mean": None}, ValueError, "need mean and std"),
        (
            {
                "x_train": torch.zeros((0, 3, 8, 8), dtype=torch.uint8),
                "y_train": torch.zeros(0, dtype=torch.int64),
            },
            ValueError,
            "no training samples",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        images(**changes)

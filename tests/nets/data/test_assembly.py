import numpy as np
import pytest
import torch

from nets.data import Augmentation, Dataset, load
from nets.data.source import DownloadError

DIGITS = load("digits")


def test_digits_are_split_by_seed_and_class():
    data = load("digits")
    assert data.input_shape == (1, 8, 8)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (1258, 180, 359)
    assert data.y_validation.bincount().tolist() == [18] * 10
    assert data.fingerprint() == DIGITS.fingerprint()
    other = load("digits", seed=1)
    assert not torch.equal(data.x_train, other.x_train)
    assert data.y_test.bincount().tolist() == other.y_test.bincount().tolist()


def test_digits_are_normalised():
    everything = torch.cat([DIGITS.x_train, DIGITS.x_validation, DIGITS.x_test])
    assert abs(float(everything.mean())) < 1e-3
    assert abs(float(everything.std()) - 1) < 1e-3
    assert DIGITS.augmentation is None


def test_split_sizes_are_the_users():
    data = load("digits", validation=0.25, test=97)
    assert (len(data.x_test), len(data.x_validation), data.n_train) == (97, 425, 1275)
    assert len(load("digits", validation=0).x_validation) == 0


def test_augmentation_is_the_users():
    crop = Augmentation(pad=1, flip=False)
    data = load("digits", augmentation=crop)
    out = data.augment(data.x_train[:50], torch.Generator().manual_seed(0))
    assert out.shape == (50, 1, 8, 8)
    assert not torch.equal(out, data.x_train[:50])


def make_pair():
    return np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 2


def make_name():
    return "digits"


ARRAYS = make_pair()


def test_factories_may_return_whatever_is_data():
    assert load(make_name).fingerprint() == DIGITS.fingerprint()
    assert load(lambda: DIGITS) is DIGITS
    assert load(DIGITS) is DIGITS
    assert load(make_pair).fingerprint() == load(ARRAYS).fingerprint()


def test_factories_are_found_by_import_path(tmp_path, monkeypatch):
    (tmp_path / "data_of_the_user.py").write_text(
        "import numpy as np\ndef pair():\n    return np.eye(30), np.arange(30) % 3\npair_itself = pair()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data = load("data_of_the_user:pair")
    assert (data.input_shape, data.n_classes) == ((30,), 3)
    assert load("data_of_the_user:pair_itself").fingerprint() == data.fingerprint()


def test_memory_decides_how_inputs_are_stored(monkeypatch):
    monkeypatch.setattr("nets.data.assembly.FLOAT_LIMIT", 1000)
    data = load("digits")
    assert data.x_train.dtype == torch.uint8
    torch.testing.assert_close(data.normalise(data.x_train), DIGITS.x_train, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            "mnits",
            ValueError,
            "unknown data set 'mnits' \\(did you mean 'mnist'\\?\\); the data sets are digits, mnist",
        ),
        (3, TypeError, "data must be a name"),
        (None, TypeError, "data must be a name"),
        ((np.eye(3),), TypeError, "got 1 of them"),
        (lambda: 3, TypeError, "data must be a name.* got int"),
        ("no_such_module:data", ValueError, "there is no module 'no_such_module'"),
        ("./nowhere", FileNotFoundError, "there is no image folder nowhere"),
    ],
)
def test_what_is_no_data_is_refused(spec, error, message):
    with pytest.raises(error, match=message):
        load(spec)


def test_absent_files_are_told_with_the_remedy(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"cifar10 is not in .*`lottery data cifar10 --fetch`.*Put cifar-10-python.tar.gz from",
    ):
        load("cifar10", data_dir=tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []
    assert issubclass(DownloadError, OSError)


def test_a_data_set_is_a_data_set():
    assert isinstance(DIGITS, Dataset)

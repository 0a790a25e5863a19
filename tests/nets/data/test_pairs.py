import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.data import load


def rows(n: int = 40, d: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


@given(
    st.integers(20, 80),
    st.integers(2, 4),
    st.integers(0, 1000),
    st.sampled_from([np.float64, np.float32, np.int16]),
)
def test_a_pair_is_partitioned(n, classes, seed, dtype):
    x = np.arange(2 * n, dtype=dtype).reshape(n, 2)
    y = np.arange(n) % classes
    data = load((x, y), seed=seed)
    joined = torch.cat([data.x_train, data.x_validation, data.x_test])
    assert sorted(joined[:, 0].tolist()) == x[:, 0].tolist()
    assert len(data.x_test) == round(0.2 * n)
    assert len(data.x_validation) == round(0.1 * (n - len(data.x_test)))
    for part in ("train", "validation", "test"):
        inputs, labels = data.part(part)
        assert torch.equal(inputs[:, 0].long() // 2 % classes, labels)


def test_tensors_and_arrays_give_the_same():
    x, y = rows(), np.arange(40) % 2
    assert load((x, y)).fingerprint() == load((torch.from_numpy(x), torch.from_numpy(y))).fingerprint()
    assert load([x.tolist(), y.tolist()]).fingerprint() == load((x, y)).fingerprint()


def test_a_later_change_of_the_array_is_not_seen():
    x, y = rows().astype(np.float32), np.arange(40) % 2
    data = load((x, y))
    before = data.fingerprint()
    x[:] = 0
    assert data.fingerprint() == before


@pytest.mark.parametrize("names", [["cat", "dog"], [-1, 1], [3, 7], [False, True]])
def test_any_labels_become_classes_in_order(names):
    data = load((rows(), np.array(names)[np.arange(40) % 2]))
    assert data.n_classes == 2
    assert data.class_names == tuple(str(np.array(names)[k]) for k in (0, 1))
    assert set(data.y_train.tolist()) == {0, 1}


def test_four_arrays_keep_their_test_part():
    x, y = rows(), np.array(["a", "b"])[np.arange(40) % 2]
    data = load((x[:30], y[:30], x[30:], y[30:]), validation=5)
    np.testing.assert_array_equal(data.x_test.numpy(), x[30:].astype(np.float32))
    assert data.y_test.tolist() == [k % 2 for k in range(30, 40)]
    assert (data.n_train, len(data.x_validation)) == (25, 5)


def test_images_in_bytes_are_normalised_by_the_training_part():
    x = np.random.default_rng(0).integers(0, 256, (60, 3, 4, 4), dtype=np.uint8)
    x[:, 2] = 9  # a constant channel must not divide by zero
    data = load((x, np.arange(60) % 3))
    assert data.x_train.dtype == torch.float32
    torch.testing.assert_close(data.x_train.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        data.x_train.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.full((4, 2), np.nan), [0, 1, 0, 1], ValueError, "x holds NaN or infinite"),
        (np.full((4, 2), 1e300), [0, 1, 0, 1], ValueError, "x holds NaN or infinite"),
        (np.zeros(4), [0, 1, 0, 1], ValueError, r"x must have shape \(n, ...\)"),
        (np.zeros((0, 3)), [], ValueError, r"x must have shape \(n, ...\)"),
        (np.zeros((4, 2)), [0, 1, 0], ValueError, r"y must have shape \(4,\)"),
        (np.zeros((4, 2)), np.eye(4, dtype=int), ValueError, "several integers a sample: name the task"),
        (np.zeros((4, 2)), [0, 0, 0, 0], ValueError, "1 distinct labels"),
        (np.zeros((4, 2)), [0, np.nan, 1, 1], ValueError, "y holds NaN or infinite"),
        (np.zeros((4, 2)), [1j, 0, 1, 1], TypeError, "y must hold class labels"),
        (np.zeros((4, 2)), [None, 0, 1, 1], TypeError, "holds objects"),
        (np.array([["a", "b"]] * 4), [0, 1, 0, 1], TypeError, "x must hold real numbers"),
        (np.zeros((4, 2), dtype=complex), [0, 1, 0, 1], TypeError, "x must hold real numbers"),
        (np.zeros((4, 8, 8, 3), dtype=np.uint8), [0, 1, 0, 1], ValueError, "channels last"),
    ],
)
def test_malformed_pairs_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        load((x, np.array(y)))


def test_malformed_test_parts_are_refused():
    x, y = rows(), np.arange(40) % 2
    with pytest.raises(ValueError, match="labels that y does not: \\[5\\]"):
        load((x, y, x, np.where(y == 1, 5, 0)))
    with pytest.raises(ValueError, match=r"shape \(2,\) \(float32\) where x has \(3,\)"):
        load((x, y, x[:, :2], y))
    with pytest.raises(ValueError, match=r"y_test must have shape \(40,\)"):
        load((x, y, x, y[:3]))


def test_torch_data_sets_are_read():
    x, y = torch.from_numpy(rows()), torch.arange(40) % 2
    expected = load((x, y)).fingerprint()
    assert load(torch.utils.data.TensorDataset(x, y)).fingerprint() == expected

    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, k):
            if k >= 40:
                raise IndexError
            return x[k], int(y[k])

    data = load(Samples())
    assert data.fingerprint() == expected
    assert data.name == "Samples"


def test_torch_data_sets_of_something_else_are_refused():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(ValueError, match="Stream has no length"):
        load(Stream())
    for samples in (
        [3, 4],
        [(np.zeros(2), 0), (np.zeros(3), 1)],
        [(np.zeros(2), "a"), (np.zeros(2), "b")],
        [],
    ):

        class Samples(torch.utils.data.Dataset):
            def __len__(self, samples=samples):
                return len(samples)

            def __getitem__(self, k, samples=samples):
                return samples[k]

        with pytest.raises(TypeError, match="Samples must hold pairs of a tensor and a label"):
            load(Samples())

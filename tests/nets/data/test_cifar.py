"""CIFAR-10 and CIFAR-100 in both published forms, on small files made here."""

import io
import pickle
import tarfile

import numpy as np
import pytest

from nets.data import cifar, load
from nets.data.cifar import read_binary_batch, read_python_batch
from nets.data.source import PublishedFile


def batch(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n, 3072), dtype=np.uint8), np.arange(n) % classes


def python_bytes(x: np.ndarray, y: np.ndarray, key: str) -> bytes:
    return pickle.dumps({b"data": x, key.encode(): y.tolist(), b"filenames": [b"a.png"] * len(x)}, protocol=2)


def write_cifar10(folder, n: int = 60, binary: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    folder.mkdir(parents=True)
    batches = [batch(n, 10, seed) for seed in range(6)]
    files = cifar.CIFAR10_BINARY if binary else cifar.CIFAR10_PYTHON
    for file, (x, y) in zip(files, batches):
        records = np.concatenate([y[:, None].astype(np.uint8), x], axis=1)
        (folder / file.name).write_bytes(records.tobytes() if binary else python_bytes(x, y, "labels"))
    return batches


@pytest.mark.parametrize("binary", [False, True])
def test_cifar10_is_read_in_order(tmp_path, binary):
    folder = tmp_path / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py")
    batches = write_cifar10(folder, binary=binary)
    read = cifar.read_cifar10_binary if binary else cifar.read_cifar10_python
    raw = read(folder, verify=False)
    np.testing.assert_array_equal(raw.x_train.reshape(300, 3072), np.concatenate([x for x, _ in batches[:5]]))
    np.testing.assert_array_equal(raw.y_train, np.concatenate([y for _, y in batches[:5]]))
    np.testing.assert_array_equal(raw.x_test.reshape(60, 3072), batches[5][0])
    assert raw.class_names[3] == "cat"
    data = load("cifar10", data_dir=tmp_path, validation=100, verify=False, download=False)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (200, 100, 60)
    assert data.input_shape == (3, 32, 32)
    assert data.augmentation is not None
    with pytest.raises(ValueError, match=r"data_batch_1(.bin)? is not the published file"):
        load("cifar10", data_dir=tmp_path, download=False)


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_uses_its_fine_labels(tmp_path, binary):
    folder = tmp_path / ("cifar-100-binary" if binary else "cifar-100-python")
    folder.mkdir()
    for file, seed in zip(cifar.CIFAR100_BINARY if binary else cifar.CIFAR100_PYTHON, (0, 1)):
        x, y = batch(200, 100, seed)
        coarse = np.full((200, 1), 19, dtype=np.uint8)
        records = np.concatenate([coarse, y[:, None].astype(np.uint8), x], axis=1)
        (folder / file.name).write_bytes(records.tobytes() if binary else python_bytes(x, y, "fine_labels"))
    data = load(
        "cifar100", data_dir=tmp_path, validation=100, verify=False, download=False, augmentation=None
    )
    assert data.n_classes == 100
    assert data.y_test.tolist() == [k % 100 for k in range(200)]
    assert data.class_names[85] == "tank"
    assert data.augmentation is None


def test_class_names_are_in_label_order():
    assert list(cifar.CIFAR100_CLASSES) == sorted(cifar.CIFAR100_CLASSES)
    assert len(set(cifar.CIFAR100_CLASSES)) == 100
    assert cifar.CIFAR100_CLASSES.index("cattle") == 19
    assert cifar.CIFAR100_CLASSES.index("dinosaur") == 29
    assert list(cifar.CIFAR10_CLASSES) == sorted(cifar.CIFAR10_CLASSES)


def test_an_archive_in_the_data_folder_is_unpacked_on_first_use(tmp_path):
    batches = write_cifar10(tmp_path / "made" / "cifar-10-batches-py")
    root = tmp_path / "data"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz is not the published file"):
        load("cifar10", data_dir=root, download=False)
    assert not (root / "cifar-10-batches-py").exists()
    data = load("cifar10", data_dir=root, download=False, verify=False, validation=0)
    red = (batches[5][0][:, 0] / 255 - 0.4914) / 0.2470  # so few images are kept normalised
    np.testing.assert_allclose(data.x_test[:, 0, 0, 0].numpy(), red, atol=1e-6)
    assert (root / "cifar-10-batches-py" / "test_batch").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0]}, "holds no 'data'"),
        ({b"data": np.zeros((1, 3000), np.uint8), b"labels": [0]}, "holds no 'data'"),
        ({b"data": np.zeros((1, 3072), np.float32), b"labels": [0]}, "holds no 'data'"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "holds no 'labels'"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "holds 2 images and 1 labels"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}, "labels reach from 10 to 10"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["cat"]}, "labels must be a list of integers"),
    ],
)
def test_malformed_python_batches_are_told(tmp_path, content, message):
    (tmp_path / "batch").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_python_batch(tmp_path, PublishedFile("batch"), False, "labels", 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no multiple of its records of 3073"),
        (bytes(3072), "no multiple"),
        (b"\x0a" + bytes(3072), "labels reach"),
    ],
)
def test_malformed_binary_batches_are_told(tmp_path, content, message):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_binary_batch(tmp_path, PublishedFile("batch"), False, 1, 10)


def test_a_hostile_batch_runs_nothing_even_unverified(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-py")
    witness = tmp_path / "witness"

    class Payload:
        def __reduce__(self):
            return open, (str(witness), "w")

    out = io.BytesIO()
    pickle.Pickler(out, protocol=2).dump({b"data": Payload(), b"labels": [0]})
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(out.getvalue())
    with pytest.raises(
        ValueError, match=r"data_batch_3 is refused as a pickle of arrays: it asks for \w+.open"
    ):
        load("cifar10", data_dir=tmp_path, verify=False, download=False)
    assert not witness.exists()

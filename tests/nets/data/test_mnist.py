import gzip
import hashlib
import struct

import numpy as np
import pytest

from nets.data import SOURCES, load, mnist
from nets.data.mnist import read_idx


def idx_bytes(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_four(folder, *, n: int = 100, compressed: bool = True, **changes) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": random.integers(0, 256, (n, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": (np.arange(n) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": random.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": (np.arange(20) % 10).astype(np.uint8),
    } | changes
    for name, array in arrays.items():
        content = idx_bytes(array)
        path = folder / (name + (".gz" if compressed else ""))
        path.write_bytes(gzip.compress(content) if compressed else content)
    return arrays


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "mnist"),
        ("MNIST", "MNIST/raw"),
        ("fashion_mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_four_files_are_read_wherever_they_usually_lie(tmp_path, name, folder, compressed):
    arrays = write_four(tmp_path / folder, compressed=compressed)
    data = load(name, data_dir=tmp_path, validation=10, download=False, verify=False)
    assert (data.input_shape, data.n_train, data.n_classes) == ((1, 28, 28), 90, 10)
    assert data.name == name.lower().replace("_", "-")
    mean, std = (0.1307, 0.3081) if data.name == "mnist" else (0.2860, 0.3530)
    expected = (arrays["t10k-images-idx3-ubyte"] / 255 - mean) / std
    np.testing.assert_allclose(data.x_test[:, 0].numpy(), expected, atol=1e-5)
    assert data.y_test.tolist() == arrays["t10k-labels-idx1-ubyte"].tolist()


def test_files_that_are_not_the_published_ones_are_refused(tmp_path):
    write_four(tmp_path / "mnist")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is not the published file"):
        load("mnist", data_dir=tmp_path, download=False)


def test_files_that_do_not_match_are_refused(tmp_path):
    write_four(tmp_path / "mnist", **{"train-labels-idx1-ubyte": np.zeros(99, np.uint8)})
    with pytest.raises(ValueError, match="do not match labels of shape"):
        load("mnist", data_dir=tmp_path, download=False, verify=False)


def test_published_mnist(data_dir):
    try:
        data = load("mnist", data_dir=data_dir, download=False)
    except FileNotFoundError:
        pytest.skip(f"{data_dir} holds no MNIST")
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (55000, 5000, 10000)
    counts = (data.y_train.bincount() + data.y_validation.bincount()).tolist()
    assert counts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.y_test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The published mean and deviation are those of the training part.
    assert abs(float(data.x_train.mean())) < 1e-3
    assert abs(float(data.x_train.std()) - 1) < 1e-3
    raw = mnist.MNIST.forms[0].read(data_dir / "mnist", True)
    assert raw.y_train[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_digests_of_files_and_of_their_content_are_known(name):
    """Unpacked or packed anew, a file has another digest but the same content."""
    for file in SOURCES[name].forms[0].files:
        assert len(file.md5) == 2
        assert all(len(digest) == 32 for digest in file.md5)


@pytest.mark.parametrize("form", ["published", "unpacked", "packed anew", "changed"])
def test_files_of_the_published_content_are_read_however_they_are_packed(tmp_path, form):
    """Fashion-MNIST, its digests those of small files."""
    write_four(tmp_path / "fashion-mnist")
    files = SOURCES["fashion-mnist"].forms[0].files
    known = [file.md5 for file in files]
    try:
        for file in files:
            path = tmp_path / "fashion-mnist" / file.name
            stored = path.read_bytes()
            content = gzip.decompress(stored)
            digests = tuple(hashlib.md5(c, usedforsecurity=False).hexdigest() for c in (stored, content))
            object.__setattr__(file, "md5", digests)
            if form == "unpacked":
                path.unlink()
                path.with_suffix("").write_bytes(content)
            elif form == "packed anew":
                path.write_bytes(gzip.compress(content, 1, mtime=7))
                assert path.read_bytes() != stored
            elif form == "changed":
                path.write_bytes(gzip.compress(content[:-1] + b"\3"))
        if form == "changed":
            with pytest.raises(ValueError, match=r"is not the published file.*--no-verify"):
                load("fashion-mnist", data_dir=tmp_path, validation=10, download=False)
        else:
            data = load("fashion-mnist", data_dir=tmp_path, validation=10, download=False)
            assert (data.n_train, len(data.y_test)) == (90, 20)
    finally:
        for file, digests in zip(files, known):
            object.__setattr__(file, "md5", digests)


def test_the_published_labels_of_mnist_have_the_digest_of_their_content(data_dir, tmp_path):
    source = SOURCES["mnist"].forms[0].files[3]
    there = [p for p in (data_dir / "mnist" / n for n in (source.name, source.name[:-3])) if p.is_file()]
    if not there:
        pytest.skip(f"{data_dir} holds no MNIST")
    content = there[0].read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "again.gz").write_bytes(gzip.compress(content, 1, mtime=7))
    for name in ("plain", "again.gz"):
        assert len(read_idx(tmp_path / name, source.md5)) == 10000

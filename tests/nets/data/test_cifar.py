"""CIFAR-10 and CIFAR-100 in both published forms, on small files made here."""

import contextlib
import io
import os
import pickle
import pickletools
import subprocess
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nets.data import cifar, load
from nets.data.cifar import read_binary_batch, read_pickled_arrays, read_python_batch
from nets.data.source import PublishedFile


def batch(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n, 3072), dtype=np.uint8), np.arange(n) % classes


def python_bytes(x: np.ndarray, y: np.ndarray, key: str) -> bytes:
    return pickle.dumps({b"data": x, key.encode(): y.tolist(), b"filenames": [b"a.png"] * len(x)}, protocol=2)


def write_cifar10(folder, n: int = 60, binary: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    folder.mkdir(parents=True)
    batches = [batch(n, 10, seed) for seed in range(6)]
    files = cifar.CIFAR10.forms[binary].files
    for file, (x, y) in zip(files, batches):
        records = np.concatenate([y[:, None].astype(np.uint8), x], axis=1)
        (folder / file.name).write_bytes(records.tobytes() if binary else python_bytes(x, y, "labels"))
    return batches


@pytest.mark.parametrize("binary", [False, True])
def test_cifar10_is_read_in_order(tmp_path, binary):
    folder = tmp_path / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py")
    batches = write_cifar10(folder, binary=binary)
    raw = cifar.CIFAR10.forms[binary].read(folder, verify=False)
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
    for file, seed in zip(cifar.CIFAR100.forms[binary].files, (0, 1)):
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
        read_python_batch(tmp_path, PublishedFile("batch"), False, 10)


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
        read_binary_batch(tmp_path, PublishedFile("batch"), False, 10)


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


numbers = st.sampled_from([np.uint8, np.int64, np.float32, np.float64, np.bool_, ">i4", "<f8"])


@given(
    numbers.flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, max_side=5))
    ),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
    st.booleans(),
)
def test_arrays_round_trip(array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    content = pickle.dumps({"data": array, "labels": [1, 2, 3], "note": b"bytes"}, protocol=protocol)
    loaded = read_pickled_arrays(content, "batch")
    np.testing.assert_array_equal(loaded["data"], array)
    assert loaded["data"].dtype == array.dtype
    assert loaded["labels"] == [1, 2, 3]
    assert loaded["note"] == b"bytes"


def python2_batch(n: int = 2) -> bytes:
    """The bytes that Python 2 writes for a CIFAR batch: protocol 2, str as bytes, numpy.core."""
    pixels = bytes(range(256)) * 12 * n
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(" + b"".join(b"K" + bytes([k]) for k in range(n)) + b"e",
            b"U\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87R",
            b"q\x07(K\x01K" + bytes([n]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
            + len(pixels).to_bytes(4, "little"),
            pixels + b"tbu.",
        ]
    )


def test_python_2_batches_are_read():
    loaded = read_pickled_arrays(python2_batch(), "batch")
    assert loaded["data"].shape == (2, 3072)
    assert loaded["data"].dtype == np.uint8
    assert loaded["data"][1, 255] == 255
    assert loaded["labels"] == [0, 1]


class Runs:
    """Pickled, it is a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["whole", "value", "key", "in a list"])
def test_a_payload_is_refused_and_does_not_run(tmp_path, protocol, place):
    witness = tmp_path / "witness"
    payload = Runs(os.system, f"touch {witness}")
    hostile = {
        "whole": payload,
        "value": {"data": payload},
        "key": {payload: 1},
        "in a list": {"labels": [payload]},
    }
    content = pickle.dumps(hostile[place], protocol=protocol)
    with pytest.raises(ValueError, match=r"refused as a pickle of arrays: it asks for \w+.system"):
        read_pickled_arrays(content, "batch")
    assert not witness.exists()
    # The payload is a real one: the ordinary reader runs it.
    pickle.loads(content)
    assert witness.exists()


@pytest.mark.parametrize(
    "payload",
    [
        Runs(eval, "1 + 1"),
        Runs(exec, "raise SystemExit"),
        Runs(subprocess.check_output, ["true"]),
        Runs(open, "/dev/null"),
        Runs(getattr, "text", "upper"),
        Runs(np.load, "file.npy"),
        Runs(np.frombuffer, b"12345678"),
        np.array([object()], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.datetime64("2020-01-01"),
        type("Local", (), {}),
    ],
    ids=lambda payload: getattr(payload, "call", (type(payload),))[0].__name__,
)
def test_everything_but_numbers_and_containers_is_refused(payload):
    class WithoutGlobals(pickle.Pickler):
        def reducer_override(self, value):
            return (
                (getattr, ("a", "upper"))
                if isinstance(value, type) and value.__name__ == "Local"
                else NotImplemented
            )

    out = io.BytesIO()
    WithoutGlobals(out).dump({"data": payload})
    with pytest.raises(ValueError, match="refused as a pickle of arrays"):
        read_pickled_arrays(out.getvalue(), "batch")


def assembled(*parts: bytes) -> bytes:
    return b"\x80\x02}U\x01k" + b"".join(parts) + b"s."


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
ARRAY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
DTYPE = b"cnumpy\ndtype\nU\x02u1\x85R"


@pytest.mark.parametrize(
    "content",
    [
        # State of a stand-in: would change it for every later file.
        assembled(RECONSTRUCT, b"N}U\x08__call__Ns\x86b"),
        assembled(b"cnumpy\nndarray\n}U\x01aK\x01sb"),
        # A length that does not fit the shape, a negative shape, a huge one.
        assembled(ARRAY, b"(K\x01K\x05\x85", DTYPE, b"\x89U\x03abctb"),
        assembled(ARRAY, b"(K\x01J\xff\xff\xff\xff\x85", DTYPE, b"\x89U\x03abctb"),
        assembled(ARRAY, b"(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", DTYPE, b"\x89U\x03abctb"),
        # Something else where the dtype belongs; a dtype of objects; a dtype with fields; a byte order.
        assembled(ARRAY, b"(K\x01K\x03\x85U\x02u1\x89U\x03abctb"),
        assembled(b"cnumpy\ndtype\nU\x01O\x85R"),
        assembled(b"cnumpy\ndtype\nU\x05i4,i4\x85R"),
        assembled(DTYPE, b"(K\x03U\x01?tb"),
        # Rebuilding something that is not an array; calling what is no callable.
        assembled(RECONSTRUCT, b"U\x03strK\x00\x85U\x01b\x87R"),
        assembled(b"cnumpy\nndarray\n)R"),
        assembled(b"c_codecs\nencode\nX\x01\x00\x00\x00aU\x03zip\x86R"),
        assembled(b"cnumpy\nndarray\n)\x81"),
        # Outside references, extension codes, a recursive dictionary key, an integer key.
        assembled(b"U\x01aQ"),
        assembled(b"\x82\x01"),
        b"\x80\x02}K\x01K\x01s.",
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02K\x05.",
        b"",
        b"garbage",
        python2_batch()[:-100],
    ],
)
def test_malformed_pickles_are_refused(content):
    with pytest.raises(ValueError, match="batch is refused as a pickle of arrays"):
        read_pickled_arrays(content, "batch")


@given(st.data())
def test_no_mutation_of_a_batch_escapes(data):
    content = bytearray(
        pickle.dumps({"data": np.arange(12, dtype=np.uint8), "labels": list(range(12))}, protocol=2)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    # A huge memo index or length would only exhaust memory; such opcodes are left out of the search.
    if any(code in content for code in b"rjJTXBi"):
        return
    with contextlib.suppress(ValueError):  # the only error it may raise
        assert all(isinstance(key, str) for key in read_pickled_arrays(bytes(content), "batch"))


def test_the_assembled_pickles_are_pickles():
    """The hand-made streams above are refused for what they ask, not for being unreadable."""
    good = assembled(ARRAY, b"(K\x01K\x03\x85", DTYPE, b"\x89U\x03abctb")
    pickletools.dis(good, out=io.StringIO())
    np.testing.assert_array_equal(read_pickled_arrays(good, "batch")["k"], np.frombuffer(b"abc", np.uint8))

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nets.data.mnist import read_idx
from nets.data.source import md5_of_bytes


def idx_bytes(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_dims=3, max_side=6)), st.booleans())
def test_round_trip(tmp_path_factory, array, compressed):
    path = tmp_path_factory.mktemp("idx") / "file"
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if compressed else content)
    np.testing.assert_array_equal(read_idx(path), array)


def test_any_of_the_digests_will_do(tmp_path):
    content = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))
    plain, stored = tmp_path / "plain", tmp_path / "stored.gz"
    plain.write_bytes(content)
    stored.write_bytes(gzip.compress(content, 9, mtime=1))
    published = gzip.compress(content, 1, mtime=0)
    digests = (md5_of_bytes(published), md5_of_bytes(content))
    for path in (plain, stored):  # neither is the published file, both have its content
        np.testing.assert_array_equal(read_idx(path, digests), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match=r"stored.gz is not the published file: its md5 is .* verify=False"):
        read_idx(stored, (md5_of_bytes(published),))


def test_a_changed_pixel_is_refused(tmp_path):
    content = idx_bytes(np.zeros((2, 3), dtype=np.uint8))
    path = tmp_path / "file"
    path.write_bytes(content[:-1] + b"\1")
    assert read_idx(path)[1, 2] == 1
    with pytest.raises(ValueError, match="is not the published file"):
        read_idx(path, (md5_of_bytes(content),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "two zero bytes"),
        (b"PNG and more", "two zero bytes"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "IDX type 0x0d"),
        (b"\0\0\x08\2\0\0\0\1", "truncated within its IDX header"),
        (b"\0\0\x08\0", "truncated within its IDX header"),
        (b"\0\0\x08\1\0\0\0\5abcd", "holds 12 bytes where its header"),
        (b"\0\0\x08\1\0\0\0\3abcd", "holds 12 bytes where its header"),
        (b"\0\0\x08\3" + b"\xff" * 12, "where its header"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\1a", mtime=0)[:-5], "damaged gzip"),
        (b"\x1f\x8bnonsense", "damaged gzip"),
    ],
)
def test_damage_is_told(tmp_path, content, message):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)

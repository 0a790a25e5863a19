"""The door that floats, numpy arrays and torch tensors come through."""

import numpy as np
import pytest
import torch

from concave_sparsity.arrays import (
    BLOCK,
    NUMPY,
    device,
    dtype_name,
    elementwise,
    is_array,
    namespace,
    on_host,
)


def test_what_is_an_array():
    for x in (np.zeros(2), np.float32(1), torch.zeros(2), torch.nn.Parameter(torch.zeros(2))):
        assert is_array(x)
    for x in (1.0, 1, [1.0], "a", None, np):
        assert not is_array(x)
    assert namespace(np.zeros(1)) is NUMPY
    assert namespace(torch.zeros(1)) is namespace(torch.nn.Parameter(torch.zeros(2))) is not NUMPY


def test_names_and_places():
    assert dtype_name(torch.zeros(1, dtype=torch.bfloat16)) == "bfloat16"
    assert dtype_name(np.zeros(1)) == "float64"
    assert on_host(1.0)
    assert on_host(np.zeros(1))
    assert on_host(torch.zeros(1))
    assert not on_host(torch.zeros(1, device="meta"))
    assert str(device(torch.zeros(1))) == "cpu"


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_blocks_cover_everything_in_order(n):
    sizes = []

    def function(x, xp):
        sizes.append(x.size)
        return 2 * x

    t = np.arange(n, dtype=np.float64)
    assert np.array_equal(elementwise(function, t), 2 * t)
    assert sum(sizes) == n
    assert max(sizes) <= BLOCK


def test_the_function_sees_floating_arrays_only():
    seen = []

    def function(x, xp):
        seen.append(dtype_name(x))
        return x

    for t in (
        1,
        1.0,
        True,
        [1, 2],
        np.float16(1),
        np.arange(2),
        torch.arange(2),
        torch.zeros(1, dtype=torch.bfloat16),
    ):
        elementwise(function, t)
    assert seen == ["float64"] * 4 + ["float32", "float64", "float64", "float32"]

"""Exact counts and deterministic ties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concave_sparsity import density_count, largest, selection
from concave_sparsity.arrays import namespace


def by_sorting(scores, count):
    """The definition: stable sort by falling score."""
    flat = np.asarray(scores, dtype=np.float64).reshape(-1)
    order = np.argsort(-flat, kind="stable")[:count]
    mask = np.zeros(flat.size, dtype=bool)
    mask[order] = True
    return mask.reshape(np.shape(scores))


few_values = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf])
arrays = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    elements=few_values | st.floats(-2, 2),
)


@given(scores=arrays, data=st.data())
def test_against_sorting(scores, data):
    count = data.draw(st.integers(0, scores.size))
    expected = by_sorting(scores, count)
    for kind in (scores, torch.from_numpy(scores)):
        mask = largest(kind, count)
        assert tuple(mask.shape) == scores.shape
        assert int(mask.sum()) == count
        assert np.array_equal(np.asarray(mask), expected)
        assert namespace(mask) is namespace(kind)
        assert "bool" in str(mask.dtype)
    if count > 0:
        tensor = torch.from_numpy(scores).reshape(-1)
        on_accelerator = selection._largest_on_accelerator(tensor, count, namespace(tensor))
        assert np.array_equal(on_accelerator.numpy(), expected.reshape(-1))


@pytest.mark.parametrize("count", [0, 1, 17, 500_000, 999_999, 1_000_000])
def test_large_with_many_ties(count):
    scores = np.random.default_rng(0).integers(0, 50, 1_000_000).astype(np.float32).reshape(1000, 1000)
    expected = by_sorting(scores, count)
    assert np.array_equal(largest(scores, count), expected)
    assert np.array_equal(largest(torch.from_numpy(scores), count).numpy(), expected)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.bool]
)
def test_torch_dtypes(dtype):
    scores = torch.tensor([[0, 1, 1], [0, 1, 0]]).to(dtype)
    assert largest(scores, 2).tolist() == [[False, True, True], [False, False, False]]
    assert largest(scores, 4).tolist() == [[True, True, True], [False, True, False]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8, bool])
def test_numpy_dtypes(dtype):
    assert largest(np.array([0, 1, 0, 1], dtype=dtype), 3).tolist() == [True, True, False, True]


def test_forms():
    assert largest([3.0, 1.0, 2.0], 2).tolist() == [True, False, True]
    weights = torch.nn.Parameter(torch.tensor([0.1, -3.0, 2.0]))
    mask = largest(weights.abs(), np.int64(1))
    assert mask.tolist() == [False, True, False]
    assert not mask.requires_grad
    view = np.arange(12.0).reshape(3, 4)[:, ::2]
    assert np.array_equal(largest(view, 3), view >= 6)
    scores = np.array([1.0, 2.0])
    scores.flags.writeable = False
    assert largest(scores, 1).tolist() == [False, True]


def test_refusals():
    with pytest.raises(ValueError, match="at most the number of scores, 2, got 3"):
        largest(np.zeros(2), 3)
    with pytest.raises(ValueError, match="count must not be negative, got -1"):
        largest(np.zeros(2), -1)
    with pytest.raises(TypeError, match="count must be an integer"):
        largest(np.zeros(2), 0.5)
    for scores in (np.array([1.0, np.nan]), torch.tensor([np.nan, 1.0])):
        with pytest.raises(ValueError, match="NaN"):
            largest(scores, 1)
    with pytest.raises(TypeError, match="real numbers"):
        largest(np.array([1j]), 1)
    with pytest.raises(TypeError, match="real numbers"):
        largest(["a", "b"], 1)


@given(density=st.floats(0, 1), n=st.integers(0, 10**9))
def test_density_count(density, n):
    count = density_count(density, n)
    assert isinstance(count, int)
    assert count == round(density * n)
    assert 0 <= count <= n


def test_density_count_known():
    assert density_count(0.02, 266_200) == 5324
    assert density_count(0, 10) == 0
    assert density_count(1, 10) == 10
    assert density_count(0.5, 5) == 2  # halves to even, as round does


@pytest.mark.parametrize(
    ("density", "n", "error", "sentence"),
    [
        (1.5, 10, ValueError, "between 0 and 1, got 1.5"),
        (-0.1, 10, ValueError, "between 0 and 1"),
        (float("nan"), 10, ValueError, "finite"),
        ("0.1", 10, TypeError, "density.*real number"),
        (0.1, -1, ValueError, "n must not be negative"),
        (0.1, 2.5, TypeError, "n must be an integer"),
    ],
)
def test_density_count_refusals(density, n, error, sentence):
    with pytest.raises(error, match=sentence):
        density_count(density, n)

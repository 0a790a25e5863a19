"""Packed states: the smallest code of a mask, exact round trips, sizes, hostile files."""

import json
import zlib
from math import lgamma, log
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nets.storage import packed, tensor_file

KIND = "concave-sparsity ticket"

#: Bytes of a file of six tensors beside their content: the container's header and the table.
HEADER = 500


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 2**32))
@settings(max_examples=200)
def test_codes_round_trip(size, density, seed):
    mask = np.random.default_rng(seed).random(size) < density
    code = packed.encode(mask)
    assert np.array_equal(packed.decode(code, size), mask)
    assert len(code.content) <= -(-size // 8)


@given(st.lists(st.integers(0, 2**20), max_size=8, unique=True))
def test_distant_entries_round_trip(places):
    mask = np.zeros(2**20 + 1, dtype=bool)
    mask[places] = True
    for tried in (mask, ~mask):
        code = packed.encode(tried)
        assert np.array_equal(packed.decode(code, tried.size), tried)
        assert len(code.content) <= 2 + 3 * len(places)


def entropy(n, k):
    """Return log2 of the number of masks that keep k of n, in bytes."""
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2) / 8


@given(
    st.floats(-3, -0.045).map(lambda x: 10**x),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    st.integers(0, 2**32),
)
@settings(max_examples=25)
def test_a_file_has_at_most_a_twentieth_more_than_its_content(density, dtype, seed):
    """The layers of LeNet-300-100, the smallest network that matters, at densities from 0.1% to 90%."""
    generator = torch.Generator().manual_seed(seed)
    state, masks, content = {}, {}, 0.0
    for name, shape in (("fc1", (300, 784)), ("fc2", (100, 300)), ("out", (10, 100))):
        weight = torch.randn(shape, generator=generator).to(dtype)
        mask = torch.rand(shape, generator=generator) < density
        bias = torch.randn(shape[0], generator=generator).to(dtype)
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
        masks[f"{name}.weight"] = mask
        kept = int(mask.sum())
        content += kept * weight.element_size() + entropy(mask.numel(), kept) + bias.nbytes
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small"
        packed.write(path, KIND, state, masks, {})
        size = path.stat().st_size
        read, again, _ = packed.read(path, KIND)
    assert size <= max(1.05 * content, content + HEADER)
    assert all(torch.equal(again[name], mask) for name, mask in masks.items())
    for name, tensor in state.items():
        wanted = tensor.masked_fill(~masks[name], 0) if name in masks else tensor
        assert read[name].dtype == dtype
        assert torch.equal(read[name].view(torch.uint8), wanted.view(torch.uint8))


def test_any_dtype_and_odd_values_are_kept_to_the_bit(tmp_path):
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45, 3.0])
    state = {
        "odd": odd,
        "half": odd.half(),
        "int": torch.arange(5),
        "flag": torch.tensor([True, False]),
        "scalar": torch.tensor(7),
        "none": torch.empty(0, 3),
        "byte": torch.tensor([3, 4], dtype=torch.uint8),
    }
    packed.write(tmp_path / "x", KIND, state, {"odd": torch.tensor([1, 1, 1, 0, 1]).bool()}, {"a": "ü"})
    read, _, metadata = packed.read(tmp_path / "x", KIND)
    assert set(read) == set(state)
    state["odd"][3] = 0.0
    for name, tensor in state.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert read[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert metadata == {"a": "ü", "whole": False}


def test_equal_states_give_equal_files_and_tied_weights_one_copy(tmp_path):
    tied = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    mask = tied > 1
    tied = tied.masked_fill(~mask, 0)
    state = {"decoder": tied, "encoder": tied, "bias": torch.ones(3)}
    packed.write(tmp_path / "a", KIND, state, {"encoder": mask}, {"x": 1, "y": 2})
    packed.write(tmp_path / "b", KIND, dict(reversed(state.items())), {"encoder": mask}, {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read, masks, _ = packed.read(tmp_path / "a", KIND)
    assert torch.equal(read["decoder"], tied)
    assert set(masks) == {"encoder"}
    packed.write(tmp_path / "c", KIND, {"encoder": tied, "bias": torch.ones(3)}, {"encoder": mask}, {})
    assert (tmp_path / "a").stat().st_size < (tmp_path / "c").stat().st_size + 80


def test_what_has_no_place_in_the_layout_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"z has dtype torch\.complex64"):
        packed.write(tmp_path / "x", KIND, {"z": torch.zeros(2, dtype=torch.complex64)}, {}, {})
    assert not list(tmp_path.iterdir())


def hostile(path, table, masks=b"", **values):
    """Write a file with a right digest and wrong content."""
    text = json.dumps({"tensors": table, "metadata": {}}).encode()
    content = {name: torch.as_tensor(value) for name, value in values.items()}
    about = zlib.compress(text, wbits=-15) + masks
    content["about"] = torch.from_numpy(np.frombuffer(about, np.uint8).copy())
    tensor_file.write(path, KIND, packed.VERSION, content)


@pytest.mark.parametrize(
    ("table", "masks"),
    [
        ([["w", "F32", [10**6, 10**6], "gaps", 0, 0, 0]], b""),  # would fill the memory
        ([["w", "F32", [3]]], b""),  # more values than there are
        ([["w", "F32", [-2, -1]]], b""),
        ([["w", "F32", [1.5]]], b""),
        ([["w", "F16", [2]]], b""),
        ([["w", "I64", [2]]], b""),
        ([["w", "F32", [16], "bits"]], b"\x01"),
        ([["w", "F32", [16], "gaps", 2, 0, 1]], b"\x80"),  # fewer places than it says
        ([["w", "F32", [4], "gaps", 1, 4, 1]], b"\x80\xf0"),  # beyond the end
        ([["w", "F32", [4], "gaps", 1, 62, 1]], b"\x80\xf0"),
        ([["w", "F32", [16], "gaps", -1, 0, 1]], b"\x80"),
        ([["w", "F32", [16], "runs", 1, 0, 1]], b"\x80"),
        ([["w", "F32", [16], "gaps", "1", 0, 1]], b"\x80"),
        ([["w", "F32", [16], "gaps", 1, 0]], b"\x80"),
        ([["w", "F32", [2], "same", "v", False]], b""),
        ([["w", "F32", [2]], ["w", "F32", [2]]], b""),
        ([["w"]], b""),
        ([None], b""),
        (7, b""),
    ],
)
def test_hostile_files_are_refused(tmp_path, table, masks):
    hostile(tmp_path / "x", table, masks, F32=[1.0, 2.0], I64=[1.0, 2.0])
    with pytest.raises(ValueError, match="is not a file that this library wrote"):
        packed.read(tmp_path / "x", KIND)


def test_a_table_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "TABLE", 1000)
    hostile(tmp_path / "x", [[f"w{i}", "F32", [0]] for i in range(500)])
    with pytest.raises(ValueError, match="its table is too long"):
        packed.read(tmp_path / "x", KIND)

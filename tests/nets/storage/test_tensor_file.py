import json
import math
import os
import pickle
import struct

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.storage import tensor_file
from nets.storage.tensor_file import read_state, write_state

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
tensors = st.sampled_from(
    [
        torch.arange(6.0).view(2, 3),
        torch.tensor([True, False]),
        torch.tensor(3.5, dtype=torch.float64),
        torch.empty(0, 4, dtype=torch.uint8),
        torch.ones(3, dtype=torch.bfloat16),
        torch.arange(6).view(2, 3).t(),
    ]
)
keys = st.text(max_size=5) | st.integers()
states = st.recursive(
    scalars | tensors,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.tuples(inside, inside)
        | st.dictionaries(keys, inside, max_size=3)
        | st.fixed_dictionaries({"$tensor": inside})
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return (a != a and b != b) or (
        a == b and math.copysign(1, a) == math.copysign(1, b) if a == 0 else a == b
    )


@given(st.dictionaries(st.text(), states, max_size=4))
def test_every_state_comes_back_as_it_was(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "state"
    write_state(path, state, {"of": "a test"})
    found, note = read_state(path)
    # JSON sorts the keys of objects, so order is compared only where the state keeps it.
    assert note == {"of": "a test"}
    assert set(found) == set(state)
    assert all(same(sort(found[key]), sort(state[key])) for key in state)


def sort(value):
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value, key=repr)}
    if isinstance(value, (list, tuple)):
        return type(value)(map(sort, value))
    return value


def test_the_state_of_an_optimiser_comes_back(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(4))
    optimiser = torch.optim.Adam([parameter], lr=0.1)
    parameter.sum().backward()
    optimiser.step()
    write_state(tmp_path / "s", optimiser.state_dict())
    again = torch.optim.Adam([parameter], lr=0.3)
    again.load_state_dict(read_state(tmp_path / "s")[0])
    assert same(sort(again.state_dict()), sort(optimiser.state_dict()))


def test_equal_states_give_equal_files(tmp_path):
    for name in "ab":
        write_state(
            tmp_path / name, {"x": torch.ones(3), "y": 1, "z": torch.zeros(2, dtype=torch.int64)}, {"n": 1}
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_in_one_memory_are_stored_apart(tmp_path):
    whole = torch.arange(10.0)
    write_state(tmp_path / "s", {"a": whole[:4], "b": whole[4:], "c": whole})
    found = read_state(tmp_path / "s")[0]
    assert torch.equal(found["c"], whole)
    assert torch.equal(found["b"], whole[4:])


@pytest.mark.parametrize("bad", [object(), {1.5: 2}, {"a": {3}}, b"bytes", lambda: 0])
def test_other_things_are_refused_before_anything_is_written(tmp_path, bad):
    with pytest.raises(TypeError):
        write_state(tmp_path / "s", {"bad": bad})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", [0, 7, 8, 60, -1, -20])
def test_any_flipped_bit_is_found(tmp_path, where):
    path = tmp_path / "s"
    write_state(path, {"x": torch.arange(100.0)})
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"truncated|changed|not a"):
        read_state(path)


@pytest.mark.parametrize("keep", [0, 1, 8, 100, -1])
def test_a_truncated_file_is_found(tmp_path, keep):
    path = tmp_path / "s"
    write_state(path, {"x": torch.arange(100.0)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated"):
        read_state(path)


class Payload:
    """A pickle that would make a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", ["pickle", "torch", "old torch"])
def test_a_pickle_in_its_place_is_refused_and_not_run(tmp_path, protocol):
    path, trap = tmp_path / "s", tmp_path / "trap"
    if protocol == "pickle":
        path.write_bytes(pickle.dumps(Payload(trap)))
    else:
        torch.save({"x": Payload(trap)}, path, _use_new_zipfile_serialization=protocol == "torch")
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_state(path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Payload(trap)))  # the trap is a real one
    assert trap.exists()


def forged(path, said, tensors=None):
    """Write a file whose sha256 is right but whose content no writer of this library would write."""
    tensor_file.write(path, "concave-sparsity checkpoint", 1, tensors or {"00000": torch.ones(1)}, said)


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        {"state": {"$tensor": "../../etc/passwd"}, "note": {}},
        {"state": {"x": {"$number": "__import__('os')"}}, "note": {}},
        {"state": {"x": {"$pairs": 3}}, "note": {}},
        {"state": {"x": {"$pairs": [[{"a": 1}, 2]]}}, "note": {}},
        {"state": {"x": 1}, "note": 3},
        {"state": 3, "note": {}},
    ],
)
def test_a_forged_checkpoint_is_refused(tmp_path, said):
    forged(tmp_path / "s", said)
    with pytest.raises(ValueError, match="checkpoint"):
        read_state(tmp_path / "s")


def test_a_file_of_another_kind_or_version_is_named(tmp_path):
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "plain")
    with pytest.raises(ValueError, match="safetensors file but not a checkpoint"):
        read_state(tmp_path / "plain")
    tensor_file.write(tmp_path / "new", "concave-sparsity checkpoint", 2, {}, {})
    with pytest.raises(ValueError, match="version 2, this library reads version 1"):
        read_state(tmp_path / "new")


def test_a_header_that_claims_to_be_huge_or_deep_is_refused(tmp_path):
    (tmp_path / "huge").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    deep = json.dumps({"__metadata__": {tensor_file.KEY: "[" * 100_000}}).encode()
    deep += b" " * (-len(deep) % 8)
    (tmp_path / "deep").write_bytes(struct.pack("<Q", len(deep)) + deep)
    for name in ("huge", "deep"):
        with pytest.raises(ValueError, match=r"truncated|not a checkpoint"):
            read_state(tmp_path / name)


def test_a_giant_of_zeros_and_what_is_no_plain_file_are_not_read(tmp_path):
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(2**33)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("giant", "fifo", "folder"):
        with pytest.raises(ValueError, match="not a checkpoint at all"):
            read_state(tmp_path / name)

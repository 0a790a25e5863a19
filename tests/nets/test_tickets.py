"""Tickets: applied, attached, saved, loaded; what was damaged is refused."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nets
from nets.analysis.controls import control
from nets.storage import tensor_file
from nets.tickets import Ticket


@pytest.fixture
def ticket(conv_net):
    weights = {k: v.clone() for k, v in conv_net().state_dict().items()}
    generator = torch.Generator().manual_seed(3)
    masks = {
        name: torch.rand(weights[name].shape, generator=generator) < density
        for name, density in (("conv.weight", 0.5), ("hidden.weight", 0.1), ("out.weight", 0.3))
    }
    metadata = {"method": "concave", "seed": 3, "rewind": 0, "report": {"cut_loss": 0.01}, "text": "ü"}
    return Ticket(masks, weights, metadata, {"lam": [1.0, 0.5]})


def test_numbers(ticket):
    kept = sum(int(m.sum()) for m in ticket.masks.values())
    assert ticket.kept == kept
    assert ticket.total == 54 + 288 + 36
    assert ticket.density == kept / 378
    assert set(ticket.layer_densities) == set(ticket.masks)


def test_apply_writes_rewound_weights_and_zeros_and_leaves_a_plain_network(conv_net, ticket):
    """A ticket exported without its rewound weights is a known fault of reference code."""
    model = conv_net(seed=8)
    assert ticket.apply(model) is model
    state = model.state_dict()
    assert list(state) == list(ticket.weights)
    for name, stored in ticket.weights.items():
        mask = ticket.masks.get(name, torch.ones_like(stored, dtype=torch.bool))
        assert torch.equal(state[name][mask], stored[mask])
        assert (state[name][~mask] == 0).all()


def test_attach_keeps_zeros_in_a_loop_of_ones_own(conv_net, ticket):
    model = ticket.attach(conv_net(seed=8))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(5, 1, 8, 8)).square().mean().backward()
        optimiser.step()
        assert (model.hidden.weight[~ticket.masks["hidden.weight"]] == 0).all()


def test_another_network_is_refused_and_left_unchanged(conv_net, ticket):
    other = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"this ticket is for another network: Linear lacks conv\.bias"):
        ticket.apply(other)
    model = conv_net(seed=1)
    model.out = torch.nn.Linear(12, 4, bias=False)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"out.weight has shape \(4, 12\), the ticket's \(3, 12\)"):
        ticket.apply(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_round_trip(tmp_path, ticket):
    path = ticket.save(tmp_path / "new" / "t.safetensors")
    again = nets.Ticket.load(path)
    assert {k: v.tolist() for k, v in again.masks.items()} == {k: v.tolist() for k, v in ticket.masks.items()}
    assert set(again.weights) == set(ticket.weights)
    assert all(torch.equal(v, again.weights[k]) for k, v in ticket.masked_weights().items())
    assert again.weights["norm.num_batches_tracked"].dtype == torch.int64
    assert dict(again.metadata) == dict(ticket.metadata)
    assert path.read_bytes() == again.save(tmp_path / "u.safetensors").read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["t.safetensors"]


def test_a_whole_ticket_keeps_pruned_weights_and_curves(tmp_path, ticket):
    whole = Ticket.load(ticket.save(tmp_path / "whole", whole=True))
    assert all(torch.equal(v, ticket.weights[k]) for k, v in whole.weights.items())
    assert {k: list(v) for k, v in whole.trace.items()} == {"lam": [1.0, 0.5]}
    part = Ticket.load(ticket.save(tmp_path / "part"))
    assert whole.whole
    assert not part.whole
    with pytest.raises(ValueError, match="without its pruned weights: find it again"):
        part.save(tmp_path / "again", whole=True)
    for name in ("shuffle", "invert"):
        with pytest.raises(ValueError, match="without its pruned weights, which other masks need"):
            control(name, part, 0)
    fresh = {k: torch.ones_like(v) for k, v in ticket.weights.items()}
    drawn = control("random", part, 0, lambda seed: fresh)
    assert drawn.whole
    assert drawn.kept == ticket.kept


def test_a_ticket_of_version_1_is_still_read(tmp_path, ticket):
    tensors = {f"weight:{name}": tensor for name, tensor in ticket.weights.items()}
    for name, mask in ticket.masks.items():
        tensors[f"mask:{name}"] = torch.from_numpy(np.packbits(mask.numpy().reshape(-1)))
    said = {"metadata": dict(ticket.metadata), "trace": {"lam": [1.0, 0.5]}}
    tensor_file.write(tmp_path / "old", "concave-sparsity ticket", 1, tensors, said)
    again = Ticket.load(tmp_path / "old")
    assert again.whole
    assert all(torch.equal(v, ticket.weights[k]) for k, v in again.weights.items())
    assert all(torch.equal(v, ticket.masks[k]) for k, v in again.masks.items())
    assert dict(again.trace) == {"lam": [1.0, 0.5]}


def test_tied_weights_stay_pruned_under_both_names(tmp_path):
    """A state holds tied weights twice, masks name them once: zeros must not be written over."""

    def tied():
        model = torch.nn.Sequential(torch.nn.Embedding(7, 5), torch.nn.Linear(5, 7, bias=False))
        model[1].weight = model[0].weight
        return model

    model = tied()
    mask = torch.rand(7, 5, generator=torch.Generator().manual_seed(0)) < 0.4
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    ticket = Ticket({"0.weight": mask}, weights)
    assert torch.equal(ticket.apply(tied())[1].weight, torch.where(mask, weights["0.weight"], 0))
    once = ticket.save(tmp_path / "tied").stat().st_size
    again = Ticket.load(tmp_path / "tied")
    assert all(torch.equal(v, ticket.masked_weights()[k]) for k, v in again.weights.items())
    del weights["1.weight"]
    assert once < Ticket({"0.weight": mask}, weights).save(tmp_path / "one").stat().st_size + 60


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 2**32))
@settings(max_examples=25)
def test_round_trip_of_any_shape(tmp_path_factory, shape, seed):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    folder = tmp_path_factory.mktemp("t")
    Ticket({"w": mask}, {"w": torch.ones(shape)}).save(folder / "t")
    assert torch.equal(Ticket.load(folder / "t").masks["w"], mask)


def test_every_truncation_is_refused(tmp_path, ticket):
    content = ticket.save(tmp_path / "t.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        cut.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.safetensors"):
            Ticket.load(cut)


def test_every_changed_byte_is_refused(tmp_path, ticket):
    content = ticket.save(tmp_path / "t.safetensors").read_bytes()
    changed = tmp_path / "changed.safetensors"
    for place in range(0, len(content), 37):
        changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match=r"changed\.safetensors"):
            Ticket.load(changed)


def test_changed_metadata_is_refused(tmp_path, ticket):
    content = ticket.save(tmp_path / "t.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    text = content[8 : 8 + length].replace(rb"\"version\":", rb"\"said\":1,\"version\":")
    assert json.loads(text) != json.loads(content[8 : 8 + length])
    changed = tmp_path / "t2.safetensors"
    changed.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(ValueError, match="changed or damaged after it was written"):
        Ticket.load(changed)


def test_what_is_no_ticket(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"PK\x03\x04 a pickle in a zip")
    with pytest.raises(ValueError, match="x"):
        Ticket.load(path)
    with pytest.raises(FileNotFoundError):
        Ticket.load(tmp_path / "none")


def test_a_ticket_must_be_consistent():
    ones = torch.ones(2, dtype=torch.bool)
    with pytest.raises(ValueError, match="at least one mask"):
        Ticket({}, {})
    with pytest.raises(TypeError, match=r"must be boolean, got torch\.float32"):
        Ticket({"w": torch.ones(2)}, {"w": torch.ones(2)})
    with pytest.raises(ValueError, match="no weight to go with it"):
        Ticket({"w": ones}, {})
    with pytest.raises(ValueError, match=r"shape \(2,\), its weight \(3,\)"):
        Ticket({"w": ones}, {"w": torch.ones(3)})


class Wrapped(torch.nn.Module):
    def __init__(self, inner, name):
        super().__init__()
        self.add_module(name, inner)


def test_apply_finds_names_behind_wrappers(conv_net, ticket):
    plain = ticket.apply(conv_net(seed=8)).state_dict()
    for name in ("module", "_orig_mod"):
        wrapped = Wrapped(conv_net(seed=8), name)
        ticket.apply(Wrapped(wrapped, "module"))
        found = wrapped.state_dict()
        assert all(torch.equal(found[f"{name}.{key}"], value) for key, value in plain.items())
    part = conv_net(seed=8)
    part.hidden = Wrapped(part.hidden, "_orig_mod")  # a compiled part
    ticket.apply(part)
    assert torch.equal(part.state_dict()["hidden._orig_mod.weight"], plain["hidden.weight"])


def test_apply_takes_a_renaming(conv_net, ticket):
    plain = ticket.apply(conv_net(seed=8)).state_dict()
    inner = conv_net(seed=8)
    outer = Wrapped(inner, "body")
    names = {name.split(".")[0]: f"body.{name.split('.')[0]}" for name in plain}
    for rename in (names, lambda name: f"body.{name}"):
        for p in inner.parameters():
            p.data.zero_()
        ticket.apply(outer, rename=rename)
        assert all(torch.equal(inner.state_dict()[key], value) for key, value in plain.items())
    with pytest.raises(ValueError, match="for another network"):
        ticket.apply(outer)


def test_apply_leaves_a_changed_head_alone(conv_net, ticket):
    model = conv_net(seed=8)
    model.out = torch.nn.Linear(model.out.in_features, 5)
    model.extra = torch.nn.Linear(2, 2)
    head, extra = model.out.weight.clone(), model.extra.weight.clone()
    with pytest.raises(ValueError, match="for another network"):
        ticket.apply(model)
    ticket.apply(model, strict=False)
    assert torch.equal(model.out.weight, head)
    assert torch.equal(model.extra.weight, extra)
    assert (model.hidden.weight[~ticket.masks["hidden.weight"]] == 0).all()
    with pytest.raises(ValueError, match="no mask of this ticket fits"):
        ticket.apply(torch.nn.Linear(3, 3), strict=False)


def test_masks_keep_their_order_in_a_file(conv_net, ticket, tmp_path):
    masks = {name: ticket.masks[name] for name in ("out.weight", "conv.weight", "hidden.weight")}
    other = Ticket(masks, ticket.weights)
    for whole in (False, True):
        again = Ticket.load(other.save(tmp_path / "t.safetensors", whole=whole))
        assert list(again.masks) == list(masks)
        assert list(again.layer_densities) == list(masks)
        assert list(again.weights) == list(ticket.weights)

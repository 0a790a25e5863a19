"""Masked networks are ordinary modules: copied, pickled, saved, loaded, compiled, trained by any loop."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import nets
from nets.masking.parametrization import Mask, attach, make_permanent
from nets.training.flat_model import FlatModel


@pytest.fixture
def masks(conv_net):
    generator = torch.Generator().manual_seed(1)
    shapes = {"conv.weight": (6, 1, 3, 3), "hidden.weight": (12, 24)}
    return {name: torch.rand(shape, generator=generator) < 0.3 for name, shape in shapes.items()}


@pytest.fixture
def masked(conv_net, masks):
    return attach(conv_net(), masks).eval()


def masks_of(model):
    """Return the masks that a network's state holds, by the names of the weights."""
    ours = {n: t for n, t in model.state_dict().items() if n.endswith(".mask")}
    return {n.replace("parametrizations.", "").removesuffix(".0.mask"): t for n, t in ours.items()}


def test_masks_are_attached_by_parametrize(masked, masks):
    assert parametrize.is_parametrized(masked.conv, "weight")
    assert all(torch.equal(mask, masks[name]) for name, mask in masks_of(masked).items())
    assert masked.conv.weight[~masks["conv.weight"]].abs().sum() == 0


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"],
)
def test_copies_compute_the_same_and_are_independent(masked, masks, again):
    x = torch.randn(5, 1, 8, 8)
    other = again(masked)
    assert torch.equal(other(x), masked(x))
    assert [n for n, _ in other.named_parameters()] == [n for n, _ in masked.named_parameters()]
    assert all(torch.equal(m, masks[name]) for name, m in masks_of(other).items())
    wanted = masked(x)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(masked(x), wanted)
    assert torch.equal(again(other)(x), other(x))


def test_taking_the_masks_off_a_copy_leaves_the_network_masked(masked, masks):
    x = torch.randn(5, 1, 8, 8)
    wanted = masked(x)
    plain = make_permanent(copy.deepcopy(masked))
    assert torch.equal(masked(x), wanted)
    assert torch.equal(plain(x), wanted)
    assert not masks_of(plain)
    assert all(torch.equal(mask, masks[name]) for name, mask in masks_of(masked).items())


def test_state_dict_is_saved_and_loaded(conv_net, masked, masks):
    file = io.BytesIO()
    torch.save(masked.state_dict(), file)
    file.seek(0)
    other = attach(conv_net(seed=9), {n: torch.ones_like(m) for n, m in masks.items()}).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(5, 1, 8, 8)
    assert torch.equal(other(x), masked(x))
    assert torch.equal(masks_of(other)["conv.weight"], masks["conv.weight"])


@pytest.mark.parametrize("optimiser", ["momentum", "adam"])
def test_any_loop_keeps_pruned_weights_at_zero(masked, masks, optimiser):
    make = {
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01),
    }[optimiser]
    step = make(masked.parameters())
    for _ in range(4):
        step.zero_grad()
        masked.train()(torch.randn(6, 1, 8, 8)).square().mean().backward()
        step.step()
        for name, mask in masks.items():
            weight = masked.get_submodule(name.split(".")[0]).weight
            assert weight[~mask].abs().sum() == 0
            assert weight[mask].abs().sum() > 0


def test_a_relaxed_mask_is_trained(conv_net):
    model = attach(conv_net(), {"hidden.weight": torch.full((12, 24), 0.5)})
    model(torch.randn(4, 1, 8, 8)).sum().backward()
    assert masks_of(model)["hidden.weight"].dtype == torch.float32
    assert model.hidden.parametrizations.weight[0].mask.grad.abs().sum() > 0


def test_make_permanent(conv_net, masked):
    x = torch.randn(5, 1, 8, 8)
    wanted = masked(x)
    make_permanent(masked)
    assert type(masked.conv) is nn.Conv2d
    assert list(masked.state_dict()) == list(conv_net().state_dict())
    assert torch.equal(masked(x), wanted)


def test_a_masked_network_runs_through_the_flat_loop(masked, masks):
    flat = FlatModel(masked, include=["*original"])
    masked(torch.randn(5, 1, 8, 8)).sum().backward()
    gradient = flat.layout.split(flat.gradients)["conv.parametrizations.weight.original"]
    assert gradient[~masks["conv.weight"]].abs().sum() == 0


def test_not_finite_weights_do_not_leak(masks):
    mask = Mask(torch.tensor([True, False]))
    assert mask(torch.tensor([1.0, float("nan")])).tolist() == [1.0, 0.0]


def test_errors_leave_the_network_unchanged(conv_net, masks):
    model = conv_net()
    with pytest.raises(ValueError, match=r"no parameter fc\.weight"):
        attach(model, {**masks, "fc.weight": masks["conv.weight"]})
    with pytest.raises(ValueError, match=r"the mask of out\.weight has shape \(2,\), the weight \(3, 12\)"):
        attach(model, {**masks, "out.weight": torch.ones(2, dtype=torch.bool)})
    assert masks_of(model) == {}
    attach(model, masks)
    with pytest.raises(ValueError, match="carries a mask already"):
        attach(model, masks)


def test_public_names():
    assert nets.attach is attach
    assert nets.make_permanent is make_permanent

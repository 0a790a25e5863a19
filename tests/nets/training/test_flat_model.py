"""The flat vector: same network, same gradients, views that stay views."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from nets.training.flat_model import FlatModel


def test_the_network_computes_what_it_did(conv_net):
    model, plain = conv_net(), conv_net()
    x = torch.randn(7, 1, 8, 8)
    FlatModel(model)
    assert torch.equal(model.eval()(x), plain.eval()(x))
    assert list(model.state_dict()) == list(plain.state_dict())


def test_gradients_arrive_in_the_flat_vector(conv_net):
    model, plain = conv_net().eval(), conv_net().eval()
    flat = FlatModel(model)
    x, y = torch.randn(7, 1, 8, 8), torch.arange(7) % 3
    for m in (model, plain):
        functional.cross_entropy(m(x), y).backward()
    wanted = dict(plain.named_parameters())
    for name, part in flat.layout.split(flat.gradients).items():
        assert torch.equal(part, wanted[name].grad)
    total = sum(float((p.grad**2).sum()) for p in plain.parameters())
    assert float((flat.gradients_of_all**2).sum()) == pytest.approx(total, rel=1e-5)


def test_separate_and_unite(conv_net):
    model = conv_net()
    flat = FlatModel(model)
    theta = flat.weights.clone()
    flat.separate()
    torch.mul(flat.weights, 0.5, out=flat.effective)
    assert torch.equal(flat.weights, theta)
    assert torch.equal(model.out.weight.detach().reshape(-1), 0.5 * theta[-36:])
    assert torch.equal(flat.snapshot()["out.weight"].reshape(-1), theta[-36:])
    flat.unite()
    assert torch.equal(model.out.weight.detach().reshape(-1), theta[-36:])


def test_snapshot_and_load_keep_buffers(conv_net):
    model = conv_net()
    flat = FlatModel(model)
    before = flat.snapshot()
    model.train()(torch.randn(9, 1, 8, 8))
    flat.weights.zero_()
    assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])
    flat.load(before)
    assert torch.equal(model.norm.running_mean, before["norm.running_mean"])
    assert flat.weights.data_ptr() == model.conv.weight.data_ptr()


def test_a_copy_is_a_network_of_its_own(conv_net):
    model = conv_net()
    flat = FlatModel(model)
    twin = copy.deepcopy(model)
    flat.weights.zero_()
    assert twin.conv.weight.abs().sum() > 0


def test_errors():
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(ValueError, match=r"share one dtype and device, found torch\.float32 on cpu"):
        FlatModel(mixed)
    with pytest.raises(ValueError, match="run the network once"):
        FlatModel(nn.Sequential(nn.LazyLinear(3)))

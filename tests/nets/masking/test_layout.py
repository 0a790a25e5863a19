"""Which tensors are masked, and how they lie in the flat vector."""

import pytest
import torch
from torch import nn

from nets.masking.layout import Layout, maskable


def test_default_rule_takes_weights_of_linear_and_convolutional_layers(conv_net):
    assert maskable(conv_net()) == ("conv.weight", "hidden.weight", "out.weight")


def test_patterns(conv_net):
    model = conv_net()
    assert maskable(model, include=["*.bias"]) == ("conv.bias", "norm.bias", "hidden.bias")
    assert maskable(model, exclude=["out.*"]) == ("conv.weight", "hidden.weight")
    assert maskable(model, include=["*.weight"], exclude=["norm.*", "o*"]) == ("conv.weight", "hidden.weight")


def test_frozen_and_tied_weights(conv_net):
    model = conv_net()
    model.hidden.weight.requires_grad_(False)
    assert maskable(model) == ("conv.weight", "out.weight")
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert maskable(tied) == ("0.weight",)


def test_errors(conv_net):
    with pytest.raises(
        ValueError, match=r"pattern \'fc\.\*\' matches no trained parameter; there are conv\.weight"
    ):
        maskable(conv_net(), include=["fc.*"])
    with pytest.raises(ValueError, match="nothing to mask in BatchNorm1d"):
        maskable(nn.BatchNorm1d(3))


def test_split_and_join(conv_net):
    model = conv_net()
    layout = Layout.of(model, maskable(model))
    assert layout.total == 6 * 9 + 24 * 12 + 12 * 3
    assert layout.offsets == (0, 54, 342, 378)
    flat = torch.arange(378.0)
    parts = layout.split(flat)
    assert parts["hidden.weight"].shape == (12, 24)
    parts["out.weight"].zero_()  # views
    assert flat[342:].sum() == 0
    assert torch.equal(layout.join(parts), flat)
    with pytest.raises(ValueError, match=r"there is no tensor for out\.weight"):
        layout.join({k: v for k, v in parts.items() if k != "out.weight"})
    with pytest.raises(ValueError, match=r"expected \(3, 12\)"):
        layout.join({**parts, "out.weight": torch.zeros(12, 3)})

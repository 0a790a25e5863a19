"""The units found by NaN are those that the architectures have."""

from functools import partial

import pytest
import torch
from torch import nn

from nets.granularity.coupling import coupling
from nets.masking.layout import maskable
from nets.models import build
from nets.models.vision_transformer import vit_lite


def found(model, shape, exclude=()):
    return coupling(model, maskable(model, (), exclude), torch.randn(1, *shape))


def together(units, *places):
    """Tell whether channels, given as (layer, "outputs" or "inputs", number), are one removable unit."""
    numbers = {int(getattr(units, side)[layer][i]) for layer, side, i in places}
    return len(numbers) == 1 and -1 not in numbers


@pytest.mark.parametrize(
    ("name", "shape", "hidden"),
    [
        ("lenet-300-100", (1, 8, 8), 300 + 100),
        ("lenet-5", (1, 28, 28), 20 + 50 + 500),
        ("conv-2", (1, 8, 8), 64 + 64 + 256 + 256),
        ("vgg-11", (3, 32, 32), 64 + 128 + 2 * 256 + 4 * 512),
        ("resnet-20", (3, 8, 8), 64 + 3 * (16 + 32 + 64)),  # one stream: stage 1 is part of 2, 2 of 3
        ("resnet-18", (3, 8, 8), 2 * 64 + 2 * 128 + 2 * 256 + 2 * 512 + 64 + 128 + 256 + 512),
    ],
)
def test_architectures_have_the_units_they_should(name, shape, hidden):
    model = build(name, shape, 10)
    units = found(model, shape)
    assert units.units == hidden
    names = [n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert (units.inputs[names[0]] == -1).all()  # the network's input and output stay whole
    assert (units.outputs[names[-1]] == -1).all()


def test_flattening_gives_a_channel_all_its_positions():
    units = found(build("conv-2", (1, 8, 8), 10), (1, 8, 8))
    assert torch.equal(units.inputs["6"], units.outputs["2"].repeat_interleave(16))


def test_the_residual_stream_ties_layers_and_normalisations():
    units = found(build("resnet-20", (3, 8, 8), 10), (3, 8, 8))
    for channel in (0, 7, 15):
        last = [(f"blocks.{b}.conv2", "outputs", channel) for b in range(9)]
        first = [(f"blocks.{b}.conv1", "inputs", channel) for b in range(9)]
        assert together(units, ("conv", "outputs", channel), *last, *first, ("classifier", "inputs", channel))
        assert units.vectors["blocks.8.norm2"][channel] == units.vectors["norm"][channel]
    inside = units.outputs["blocks.3.conv1"]
    assert torch.equal(inside, units.vectors["blocks.3.norm1"])
    assert torch.equal(inside, units.inputs["blocks.3.conv2"])


def test_heads_are_units_and_the_normalised_stream_stays():
    model = build(partial(vit_lite, depth=2), (1, 8, 8), 10, width=1 / 8)
    units = found(model, (1, 8, 8))
    width = model.classifier.in_features
    assert units.units == 2 * (4 + model.blocks[0].expand.out_features)
    head = units.outputs["blocks.0.attention.query_key_value"].view(3, 4, width // 4)
    assert (head == head[:1, :, :1]).all()
    assert torch.equal(head[0].flatten(), units.inputs["blocks.0.attention.output"])
    assert (units.outputs["blocks.0.contract"] == -1).all()
    assert (units.outputs["patches"] == -1).all()


def test_heads_of_any_width_are_told_apart(networks):
    units = found(networks["Heads"](), (1, 8, 8))
    assert units.units == 3
    assert torch.equal(units.outputs["key"], units.inputs["output"])
    assert units.outputs["query"].tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_depthwise_convolutions_concatenation_and_gates(networks):
    units = found(networks["Depthwise"](), (1, 8, 8))
    assert units.units == 6 + 4 + 5
    before = ("first", "outputs", 2), ("each", "outputs", 4), ("each", "outputs", 5)
    assert together(units, *before, ("squeeze", "inputs", 4), ("excite", "outputs", 5), ("out", "inputs", 5))
    assert together(units, ("other", "outputs", 1), ("squeeze", "inputs", 13), ("out", "inputs", 13))
    assert torch.equal(units.vectors["slope"], units.outputs["each"])


def test_layers_left_out_keep_what_they_read_and_write():
    units = found(build("lenet-300-100", (1, 8, 8), 10), (1, 8, 8), exclude=("5.weight",))
    assert units.units == 300
    assert (units.outputs["3"] == -1).all()


def test_parameters_of_ones_own_hold_what_they_act_on(networks):
    units = found(networks["Scaled"](), (1, 8, 8))
    assert units.units == 6
    assert (units.outputs["second"] == -1).all()
    assert (units.inputs["out"] == -1).all()


def test_a_weight_shared_by_two_layers_stays_whole():
    model = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2)
    )
    model[4].weight = model[0].weight
    units = found(model, (4,))
    assert units.units == 0


def test_a_transformer_of_torch_keeps_its_fused_attention():
    model = nn.Sequential(
        nn.Linear(8, 16),
        nn.TransformerEncoderLayer(16, 2, 24, batch_first=True),
        nn.Flatten(),
        nn.Linear(128, 3),
    )
    units = found(model, (8, 8))
    assert units.units == 24
    assert (units.outputs["1.linear1"] >= 0).all()
    assert (units.outputs["1.self_attn.out_proj"] == -1).all()


@pytest.mark.parametrize("name", ["Mixing", "TimeFirst"])
def test_mixed_samples_are_refused(networks, name):
    with pytest.raises(ValueError, match="prune by weight or N:M"):
        found(networks[name](), (1, 8, 8))


def test_the_network_is_left_as_it_is():
    model = build("resnet-20", (3, 8, 8), 10, seed=1)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    found(model, (3, 8, 8))
    assert model.training
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert "forward" not in vars(model.conv)

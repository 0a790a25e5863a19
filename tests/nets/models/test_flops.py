from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from nets.models import build, flops
from nets.models.flops import count_flops


def test_a_linear_network_by_hand():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3, bias=False))
    count = count_flops(model, (5,))
    assert count.layers == {"0": 2 * 5 * 4, "2": 2 * 4 * 3}
    assert (count.dense, count.sparse, count.other, count.share) == (64, 64, 0, 1.0)


def test_masks_by_hand():
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    mask = torch.zeros(4, 5)
    mask[0, :2] = mask[3, 4] = 1
    count = count_flops(model, (5,), {"0.weight": mask})
    assert count.sparse_layers == {"0": 2 * 3, "1": 2 * 12}
    assert count.sparse == 30
    assert count.share == 30 / 64
    assert count_flops(model, (5,), {"0.weight": mask.bool()}) == count


def test_convolutions_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8 x 8 -> 4 x 4
        nn.Conv2d(8, 8, 3, groups=4),  # 4 x 4 -> 2 x 2
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    count = count_flops(model, (3, 8, 8))
    assert count.layers == {"0": 2 * 16 * (8 * 3 * 9), "1": 2 * 4 * (8 * 2 * 9), "3": 2 * 64}
    mask = torch.zeros(8, 2, 3, 3)
    mask[0, 0, 0, 0] = 1
    assert count_flops(model, (3, 8, 8), {"1.weight": mask}).sparse_layers["1"] == 2 * 4
    assert count.other == 0


@pytest.mark.parametrize(
    ("name", "shape", "millions"),
    [
        ("resnet-20", (3, 32, 32), 40.55),  # 41M multiply-adds
        ("resnet-56", (3, 32, 32), 125.49),  # 126M
        ("vgg-16", (3, 32, 32), 313.20),  # 313M
        ("wide-resnet-22-2", (3, 32, 32), 157.73),
        ("resnet-18", (3, 32, 32), 555.42),  # 0.56G
        ("lenet-300-100", (1, 28, 28), 0.2662),
    ],
)
def test_known_networks(name, shape, millions):
    assert round(count_flops(build(name, shape, 10), shape).dense / 2e6, 4 if millions < 1 else 2) == millions


class Everything(nn.Module):
    """What decomposes into products, what has none, and products outside of layers."""

    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.look, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.recur = nn.LSTM(16, 4, batch_first=True)

    def forward(self, x):
        x, _ = self.attend(x, x, x)
        seen = self.norm(self.look(x[:, None])).relu().flatten(1).sum(1)
        recurred, _ = self.recur(nn.functional.scaled_dot_product_attention(x, x, x))
        return seen + torch.einsum("bij,bkj->bik", recurred, recurred).sum((1, 2))


def test_it_is_the_same_with_torch_s_compiler_loaded_and_without(monkeypatch):
    """Without, a mode of our own counts networks; where it cannot, torch's does, which loads the compiler."""

    def counts(model, shape, **loaded):
        monkeypatch.setattr(flops, "sys", SimpleNamespace(modules=loaded))
        return count_flops(model, shape)

    for model, shape in ((Everything(), (16, 16)), (build("resnet-20", (3, 32, 32), 10), (3, 32, 32))):
        plain = counts(model, shape)
        assert plain == counts(model, shape, **{"torch._dynamo": None})
    assert plain.other == 0

    monkeypatch.setattr(flops.PlainCounter, "__torch_dispatch__", None)  # as where something is compiled
    assert counts(model, shape) == plain
    with pytest.raises(RuntimeError, match="shape"):  # the network's own error comes through
        counts(nn.Linear(3, 2), (4,))


def test_attention_is_counted_beside_the_layers():
    count = count_flops(build("vit-lite-6", (3, 32, 32), 10), (3, 32, 32))
    # Six blocks, each two products of 65 x 65 x 256.
    assert count.other == 6 * 2 * (2 * 65 * 65 * 256)


def test_attention_of_torch_is_counted():
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    count = count_flops(model, (5, 8))
    assert count.layers["linear1"] == count.layers["linear2"] == 2 * 5 * 8 * 16
    # Queries, keys, values and output, then two products of 5 x 5 x 8.
    assert count.layers["self_attn"] == 2 * 5 * 8 * 8 * 4
    assert count.other == 2 * 2 * 5 * 5 * 8
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_count_is_per_sample_and_leaves_the_model_alone():
    model = build("resnet-20", (1, 8, 8), 10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.blocks[0].eval()
    one = count_flops(model, (1, 8, 8))
    assert count_flops(model, torch.randn(7, 1, 8, 8)) == one
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training
    assert not model.blocks[0].training
    assert not any(module._forward_hooks for module in model.modules())


def test_a_masked_network_counts_like_its_bare_self():
    class Mask(nn.Module):
        def forward(self, weight):
            return weight * 0.5

    model = build("lenet-300-100", (1, 8, 8), 10)
    bare = count_flops(model, (1, 8, 8))
    parametrize.register_parametrization(model[1], "weight", Mask())
    assert count_flops(model, (1, 8, 8)) == bare


def test_a_shared_layer_counts_each_use():
    layer = nn.Linear(4, 4)
    count = count_flops(nn.Sequential(layer, nn.ReLU(), layer), (4,), {"0.weight": torch.eye(4)})
    assert (count.dense, count.sparse) == (2 * 2 * 16, 2 * 2 * 4)


def test_masks_that_do_not_fit_are_refused():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match=r"mask '1.weight' is no weight of a Linear"):
        count_flops(model, (5,), {"1.weight": torch.ones(4)})
    with pytest.raises(ValueError, match=r"mask '0.weight' has shape \(5, 4\), its weight \(4, 5\)"):
        count_flops(model, (5,), {"0.weight": torch.ones(5, 4)})


class Tied(nn.Module):
    """An embedding whose weight the output layer shares, and one layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.embed, self.again, self.out = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x):
        return self.out(self.again(self.again(self.embed(x))))


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_recurrent_layers_count_every_step():
    """Before, an LSTM of 8 inputs and 64 units over 5 steps was said to take 256 operations."""
    mask = torch.zeros(256, 8)
    mask[:64] = 1
    found = count_flops(nn.LSTM(8, 64), torch.zeros(5, 1, 8), {"weight_ih_l0": mask})
    assert 5 * found.dense == 2 * 5 * 256 * (8 + 64)
    assert 5 * found.sparse == 2 * 5 * (64 * 8 + 256 * 64)
    for kind, gates in ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)):
        layer = kind(8, 16, num_layers=2, bidirectional=True, batch_first=True)
        found = count_flops(layer, torch.zeros(3, 5, 8))
        assert found.dense == 2 * 5 * 2 * gates * 16 * (8 + 16 + 32 + 16)
        assert found.other == 0
    assert count_flops(nn.LSTM(8, 16, proj_size=4), torch.zeros(1, 1, 8)).dense == 2 * (64 * (8 + 4) + 4 * 16)
    assert count_flops(nn.GRUCell(8, 16), torch.zeros(2, 8)).dense == 2 * 48 * (8 + 16)


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"groups": 2, "padding": 1}])
def test_transposed_convolutions_use_a_weight_at_every_input_position(settings):
    layer = nn.ConvTranspose2d(4, 6, 3, **settings)
    found = count_flops(layer, torch.zeros(2, 4, 5, 5))
    assert found.dense == 2 * 25 * layer.weight.numel()
    assert found.other == 0
    half = torch.zeros_like(layer.weight)
    half[:2] = 1
    assert count_flops(layer, torch.zeros(2, 4, 5, 5), {"weight": half}).sparse == found.dense // 2


def test_tied_weights_have_one_mask_and_layers_count_as_often_as_they_are_called():
    mask = torch.zeros(7, 4)
    mask[0] = 1
    for name in ("embed.weight", "out.weight"):
        found = count_flops(Tied(), torch.zeros(1, 3, dtype=torch.int64), {name: mask})
        assert found.layers == {"again": 2 * 3 * 2 * 16, "out": 2 * 3 * 28}
        assert found.sparse_layers["out"] == 2 * 3 * 4


def test_the_projections_of_attention_are_counted_by_their_masks():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.zeros(1, 5, 8)
    mask = torch.ones(24, 8)
    mask[:8] = 0
    found = count_flops(layer, (x, x, x), {"in_proj_weight": mask})
    assert found.layers == {"": 2 * 5 * 4 * 64}
    assert found.sparse_layers == {"": 2 * 5 * 3 * 64}
    assert found.other == 2 * 2 * 25 * 8

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from nets.models import build
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


def test_attention_is_counted_beside_the_layers():
    count = count_flops(build("vit-lite-6", (3, 32, 32), 10), (3, 32, 32))
    # Six blocks, each two products of 65 x 65 x 256.
    assert count.other == 6 * 2 * (2 * 65 * 65 * 256)


def test_attention_of_torch_is_counted():
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    count = count_flops(model, (5, 8))
    assert count.layers["linear1"] == count.layers["linear2"] == 2 * 5 * 8 * 16
    # Queries, keys, values and output, then two products of 5 x 5 x 8.
    assert count.other == 2 * 5 * 8 * 8 * 4 + 2 * 2 * 5 * 5 * 8
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

"""Every network: its size against the literature, its shapes, its initial weights."""

import copy
import math

import pytest
import torch
from torch import nn

from nets.data import Dataset, load
from nets.models import ARCHITECTURES, build, reinitialise
from nets.models.factory import architecture

DIGITS = load("digits")


def small(input_shape=(1, 8, 8), n_classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], n_classes))


def positional(shape, classes):
    return small(shape, classes)


def without():
    return small()


class ByKeyword(nn.Sequential):
    def __init__(self, hidden=7, *, num_classes):
        super().__init__(nn.Flatten(), nn.LazyLinear(hidden), nn.Dropout(), nn.Linear(hidden, num_classes))


def with_defaults(width=5, dropout=0.1):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Dropout(dropout), nn.Linear(width, 10))


@pytest.mark.parametrize("factory", [small, positional, without, ByKeyword, with_defaults])
def test_factories_get_what_they_ask_for(factory):
    one, two = build(factory, DIGITS, seed=5), build(factory, DIGITS, seed=5)
    assert one(DIGITS.x_train[:3]).shape == (3, 10)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
    assert not torch.equal(next(one.parameters()), next(build(factory, DIGITS, seed=6).parameters()))
    assert all(module.training for module in one.modules())


def test_a_factory_is_found_by_import_path(tmp_path, monkeypatch):
    (tmp_path / "model_of_the_user.py").write_text(
        "from torch import nn\n"
        "def net(n_classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, n_classes))\n"
        "ready = net(10)\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert build("model_of_the_user:net", DIGITS)[1].out_features == 10
    ready = build("model_of_the_user:ready", DIGITS)
    with torch.no_grad():
        ready[1].weight.zero_()
    assert build("model_of_the_user:ready", DIGITS)[1].weight.any()
    with pytest.raises(TypeError, match=r"must be a torch.nn.Module or a factory of one, got int"):
        build("model_of_the_user:number", DIGITS)


def test_a_module_is_copied_with_its_weights_and_modes():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10))
    model[2].eval()
    copied = build(model, DIGITS, seed=9)
    assert copied is not model
    for (name, a), b in zip(model.state_dict().items(), copied.state_dict().values()):
        assert torch.equal(a, b), name
    assert not copied[2].training
    assert copied[1].training
    with torch.no_grad():
        copied[1].weight.zero_()
    assert model[1].weight.any()


def test_the_global_generator_is_untouched():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build(small, DIGITS, seed=2)
    assert torch.equal(torch.rand(3), expected)


def test_shape_and_classes_may_be_given():
    assert build("lenet-300-100", (5,), 3)(torch.zeros(2, 5)).shape == (2, 3)
    assert build("lenet-300-100", DIGITS, 4)(torch.zeros(2, 1, 8, 8)).shape == (2, 4)
    with pytest.raises(TypeError, match="give n_classes along with an input shape"):
        build("lenet-300-100", (5,))
    with pytest.raises(ValueError, match="n_classes must be at least 2"):
        build("lenet-300-100", (5,), 1)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: nn.Linear(3, 10), ValueError, r"cannot take inputs of shape \(1, 8, 8\)"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9)),
            ValueError,
            r"\(n, 10\); for n = 2 it gave \(2, 9\)",
        ),
        (lambda: nn.Flatten(0), ValueError, r"it gave \(128,\)"),
        (lambda: "a network", TypeError, "got str"),
        (3, TypeError, "got int"),
        ("no_such_module:net", ValueError, "there is no module"),
    ],
)
def test_what_does_not_fit_is_refused(model, error, message):
    with pytest.raises(error, match=message):
        build(model, DIGITS)


def test_reinitialise_draws_every_parameter_anew():
    model = build("resnet-20", DIGITS)
    model.norm.running_mean.fill_(3)
    one, two, other = (reinitialise(model, seed=seed) for seed in (4, 4, 5))
    assert not one.norm.running_mean.any()
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name))
        if parameter.dim() > 1:
            assert not torch.equal(parameter, model.get_parameter(name))
            assert not torch.equal(parameter, other.get_parameter(name))


def test_reinitialise_refuses_what_it_cannot_redraw():
    with pytest.raises(ValueError, match=r"owns parameters but has no reset_parameters\(\)"):
        reinitialise(build("vit-lite-6", DIGITS), seed=0)


def test_networks_that_embed_tokens_are_built():
    tokens = torch.arange(60).reshape(20, 3) % 5
    labels = torch.arange(20) % 2
    data = Dataset("text", tokens, labels, tokens, labels, tokens, labels, n_classes=2)
    model = build(lambda: nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2)), data)
    assert model(data.normalise(data.x_train)).shape == (20, 2)


MNIST, CIFAR = (1, 28, 28), (3, 32, 32)

#: Exact counts; in the comment what the literature prints.
PARAMETERS = {
    ("lenet-300-100", MNIST, 10): 266_610,  # 266K, Frankle and Carbin 2019
    ("lenet-5", MNIST, 10): 431_080,  # 431K, Han et al. 2015
    ("conv-2", CIFAR, 10): 4_301_642,  # 4.3M, Frankle and Carbin 2019
    ("conv-4", CIFAR, 10): 2_425_930,  # 2.4M, the same
    ("conv-6", CIFAR, 10): 2_262_602,  # printed there as 1.7M, which its own list of layers does not give
    ("resnet-20", CIFAR, 10): 269_722,  # 0.27M, He et al. 2016
    ("resnet-32", CIFAR, 10): 464_154,  # 0.46M
    ("resnet-56", CIFAR, 10): 853_018,  # 0.85M
    ("resnet-18", CIFAR, 10): 11_173_962,  # 11.17M
    ("resnet-18-imagenet", (3, 64, 64), 1000): 11_689_512,  # 11.69M, torchvision
    ("vgg-11", CIFAR, 10): 9_228_362,  # 9.23M
    ("vgg-16", CIFAR, 10): 14_728_266 - 4_224,  # 14.7M; less the biases that batch normalisation makes idle
    ("vgg-19", CIFAR, 10): 20_040_522 - 5_504,  # 20.0M; the same
    ("wide-resnet-16-8", CIFAR, 10): 10_961_370,  # 11.0M, Zagoruyko and Komodakis 2016
    ("wide-resnet-22-2", CIFAR, 10): 1_079_642,  # 1.1M
    ("wide-resnet-28-10", CIFAR, 10): 36_479_194,  # 36.5M
    ("vit-lite-6", CIFAR, 10): 3_190_538,  # 3.191M, Hassani et al. 2021
}

#: The smallest square image that each takes.
SMALLEST = {
    "lenet-300-100": 1,
    "lenet-5": 16,
    "conv-2": 2,
    "conv-4": 4,
    "conv-6": 8,
    "resnet-20": 4,
    "resnet-32": 4,
    "resnet-56": 4,
    "resnet-18": 8,
    "resnet-18-imagenet": 32,
    "vgg-11": 32,
    "vgg-16": 32,
    "vgg-19": 32,
    "wide-resnet-16-8": 4,
    "wide-resnet-22-2": 4,
    "wide-resnet-28-10": 4,
    "vit-lite-6": 7,
}


def test_every_network_is_pinned():
    assert {name for name, _, _ in PARAMETERS} == set(ARCHITECTURES) == set(SMALLEST)


@pytest.mark.parametrize(("name", "shape", "classes"), PARAMETERS)
def test_parameter_counts(name, shape, classes):
    model = build(name, shape, classes)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name, shape, classes]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_forward_and_backward_on_the_smallest_image(name):
    side = SMALLEST[name]
    model = build(name, (2, side, side), 3)
    x = torch.randn(4, 2, side, side, generator=torch.Generator().manual_seed(0))
    out = model(x)
    assert out.shape == (4, 3)
    nn.functional.cross_entropy(out, torch.tensor([0, 1, 2, 0])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
    if side > 1:
        with pytest.raises(
            ValueError, match=rf"{name} needs images of at least {side} x {side} pixels, got {side - 1}"
        ):
            build(name, (2, side - 1, side), 3)


@pytest.mark.parametrize(
    "name", ["lenet-300-100", "conv-2", "conv-6", "resnet-20", "resnet-18", "wide-resnet-22-2", "vit-lite-6"]
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64)])
def test_data_sets_of_other_sizes(name, shape):
    assert build(name, shape, 5)(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize(
    "name", [n for n in ARCHITECTURES if n not in ("wide-resnet-28-10", "vgg-19", "vgg-16")]
)
def test_seed_fixes_the_weights_to_the_bit(name):
    side = max(SMALLEST[name], 8)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    one, two, other = (build(name, (1, side, side), 4, seed=seed).state_dict() for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], two[key]) for key in one)
    drawn = [key for key in one if key.endswith("weight") and one[key].dim() > 1]
    assert drawn
    assert not any(torch.equal(one[key], other[key]) for key in drawn)


def layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def expected_deviation(name: str, layer: nn.Module) -> float:
    weight = layer.weight
    window = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * window, weight.shape[0] * window
    if name.startswith(("lenet", "conv")):
        return math.sqrt(2 / (fan_in + fan_out))
    if name.startswith("vit"):
        return 0.02
    out = name.startswith(("resnet-18", "vgg", "wide")) and isinstance(layer, nn.Conv2d)
    return math.sqrt(2 / (fan_out if out else fan_in))


@pytest.mark.parametrize(
    "name",
    [
        "lenet-300-100",
        "lenet-5",
        "conv-4",
        "resnet-20",
        "resnet-18",
        "vgg-11",
        "wide-resnet-22-2",
        "vit-lite-6",
    ],
)
def test_initial_weights_follow_the_paper(name):
    model = build(name, CIFAR, 10, seed=3)
    for layer in layers(model):
        n = layer.weight.numel()
        # Five standard errors of a sample deviation and mean.
        expected = expected_deviation(name, layer)
        assert abs(layer.weight.std().item() / expected - 1) < 5 / math.sqrt(2 * n) + 1e-3
        assert abs(layer.weight.mean().item()) < 5 * expected / math.sqrt(n)
        assert layer.bias is None or not layer.bias.any()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def test_residual_shortcuts_of_cifar_have_no_parameters():
    model = build("resnet-20", CIFAR, 10)
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == 19
    x = torch.randn(2, 16, 8, 8)
    shortcut = model.blocks[3].shortcut
    assert list(shortcut.parameters()) == []
    out = shortcut(x, 32)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


def test_attention_is_the_formula():
    attention = build("vit-lite-6", (1, 8, 8), 3).blocks[0].attention
    x = torch.randn(2, 5, 256, generator=torch.Generator().manual_seed(0))
    query, key, value = (x @ part.T for part in attention.query_key_value.weight.split(256))
    heads = []
    for h in range(4):
        rows = slice(64 * h, 64 * (h + 1))
        scores = torch.softmax(query[..., rows] @ key[..., rows].transpose(1, 2) / math.sqrt(64), dim=-1)
        heads.append(scores @ value[..., rows])
    torch.testing.assert_close(attention(x), attention.output(torch.cat(heads, -1)), rtol=1e-4, atol=1e-6)


def test_networks_copy_and_train():
    model = build("resnet-20", (1, 8, 8), 10)
    again = copy.deepcopy(model)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    assert model.training


def test_names_are_forgiven_and_unknown_ones_told():
    assert architecture("ResNet_20").name == "resnet-20"
    with pytest.raises(
        ValueError,
        match=r"unknown model 'resnet-21' .did you mean 'resnet-..'.*the models are lenet",
    ):
        build("resnet-21", CIFAR, 10)
    with pytest.raises(ValueError, match="vgg-16 takes images of shape"):
        build("vgg-16", (20,), 10)

import pytest
import torch
from torch import nn

from nets.data import Dataset, load
from nets.models import build, reinitialise

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

"""SNIP and GraSP against finite differences; SynFlow against its closed form and its conservation law."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nets.configuration import Training
from nets.data import Dataset
from nets.search import Search, Wanted
from nets.search.criteria import grasp, snip, synflow


@pytest.fixture
def search():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=generator)
    y = torch.randint(0, 3, (40,), generator=generator)
    data = Dataset("random", x, y, x[:0], y[:0], x[:6], y[:6], n_classes=3)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    return Search(model, data, Training(epochs=1), Wanted(densities=[0.5]))


def loss_of(search, temperature=1.0):
    """The mean loss over the training part as a function of the flat maskable weights, in float64."""
    biases = [p.detach().double() for n, p in search.flat.model.named_parameters() if n.endswith("bias")]
    x, y = search.data.x_train.double(), search.data.y_train

    def loss(flat):
        first, second = search.layout.split(flat).values()
        hidden = torch.tanh(functional.linear(x, first, biases[0]))
        return functional.cross_entropy(functional.linear(hidden, second, biases[1]) / temperature, y)

    return loss


def finite_difference(function, at, step=1e-5):
    gradient = torch.zeros_like(at)
    for i in range(len(at)):
        shift = torch.zeros_like(at)
        shift[i] = step
        gradient[i] = (function(at + shift) - function(at - shift)) / (2 * step)
    return gradient


def test_snip_equals_finite_differences(search):
    theta = search.flat.weights.double()
    reference = (theta * finite_difference(loss_of(search), theta)).abs()
    torch.testing.assert_close(snip(search, 1000).double(), reference, rtol=1e-4, atol=1e-7)


def test_grasp_equals_finite_differences(search):
    temperature = 2.0
    loss, theta = loss_of(search, temperature), search.flat.weights.double()
    gradient = finite_difference(loss, theta)
    half = 1e-3  # H g is the directional derivative of the gradient
    product = (
        finite_difference(loss, theta + half * gradient) - finite_difference(loss, theta - half * gradient)
    ) / (2 * half)
    scores = grasp(search, 1000, temperature).double()
    torch.testing.assert_close(scores, theta * product, rtol=1e-3, atol=1e-7)


def test_grasp_scores_tell_what_removal_does_to_the_gradient_norm(search):
    loss, theta = loss_of(search, 2.0), search.flat.weights.double()
    scores = grasp(search, 1000, 2.0)
    i = int(scores.argmax())
    small = theta.clone()
    small[i] *= 1 - 1e-3
    norm = finite_difference(loss, theta).square().sum()
    assert finite_difference(loss, small).square().sum() < norm


def test_scores_leave_the_network_as_it_was(search):
    before = search.flat.snapshot()
    snip(search, 10)
    grasp(search, 10)
    synflow(search, torch.ones(search.n, dtype=torch.bool))
    after = search.flat.snapshot()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not search.flat.gradients_of_all.any()
    assert search.epochs == pytest.approx((10 + 30) / 40)


def test_synflow_equals_its_closed_form(search):
    mask = torch.rand(search.n, generator=torch.Generator().manual_seed(3)) < 0.6
    first, second = search.layout.split((search.flat.weights * mask).double().abs()).values()
    model = search.flat.model
    hidden = first.sum(1) + model[0].bias.detach().double().abs()
    slope = 1 - torch.tanh(hidden) ** 2
    flow_second = second * torch.tanh(hidden)
    flow_first = first * (second.sum(0) * slope)[:, None]
    reference = torch.cat([flow_first.reshape(-1), flow_second.reshape(-1)])
    torch.testing.assert_close(synflow(search, mask), reference)
    assert not synflow(search, mask)[~mask].any()


def test_synflow_is_conserved_from_layer_to_layer():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 6, bias=False),
        nn.ReLU(),
        nn.Linear(6, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 2, bias=False),
    )
    x, y = torch.randn(8, 4), torch.tensor([0, 1] * 4)
    data = Dataset("random", x, y, x[:0], y[:0], x, y, n_classes=2)
    search = Search(model, data, Training(epochs=1), Wanted(densities=[0.5]))
    scores = synflow(search, torch.ones(search.n, dtype=torch.bool))
    sums = [s.sum() for s in search.layout.segments(scores)]
    torch.testing.assert_close(sums[0], sums[1])
    torch.testing.assert_close(sums[0], sums[2])


@pytest.mark.parametrize("bad", [0, -3])
def test_a_bad_sample_size_is_refused(search, bad):
    with pytest.raises(ValueError, match="samples must be at least 1"):
        snip(search, bad)


def test_a_bad_temperature_is_refused(search):
    with pytest.raises(ValueError, match="temperature must be positive"):
        grasp(search, 10, 0.0)

"""Thresholds of the layers: the wanted number stays above them, their gradients are those of the loss."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nets.configuration import Training
from nets.data import Dataset
from nets.methods.reparametrized import SoftThreshold
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop


@pytest.fixture
def setting():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=generator)
    y = (x[:, 0] > 0).long()
    data = Dataset("half-planes", x, y, x[:0], y[:0], x, y, n_classes=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flat = FlatModel(nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 2)))
    return flat, data


class Counts(Hook):
    watches_only = True

    def __init__(self):
        self.kept = []

    def after_step(self, loop):
        self.kept.append(int((loop.flat.effective != 0).sum()))


def test_the_number_above_the_thresholds_follows_the_cubic_and_ends_exactly(setting):
    flat, data = setting
    hook, counts = SoftThreshold(flat.layout.sizes, 17, lr=0.1, descent=0.5), Counts()
    training = Training(epochs=10, batch_size=10, lr=0.05)
    Loop(flat, data, training, seed=0, hooks=(hook, counts), part=None).run()
    expected = [17 + round((flat.n - 17) * max(0.0, 1 - (s / 40) / 0.5) ** 3) for s in range(1, 41)]
    assert counts.kept == expected
    assert hook.thresholds.abs().max() > 0


def test_thresholds_follow_the_gradient_of_the_loss(setting):
    flat, data = setting
    hook = SoftThreshold(flat.layout.sizes, 40, lr=1.0, descent=0.5)
    training = Training(epochs=1, batch_size=40, lr=0.1, schedule="constant")
    loop = Loop(flat, data, training, seed=0, hooks=(hook,), part=None)
    loop.step = 0
    hook.start(loop)
    common = float(flat.weights.abs().median())
    hook.levels = torch.full((2,), common)
    size = flat.weights.abs() - common
    hook.alive = size > 0
    flat.effective.copy_(flat.weights.sign() * size.clamp(min=0))
    biases = [p.detach().clone() for name, p in flat.model.named_parameters() if name.endswith("bias")]

    def loss(logarithms):
        alpha = (common * logarithms.exp()).repeat_interleave(torch.tensor(flat.layout.sizes))
        shown = flat.weights.sign() * (flat.weights.abs() - alpha).clamp(min=0)
        first, second = flat.layout.split(shown).values()
        hidden = functional.linear(data.x_train, first, biases[0]).relu()
        return functional.cross_entropy(functional.linear(hidden, second, biases[1]), data.y_train)

    logarithms = torch.zeros(2, requires_grad=True)
    (expected,) = torch.autograd.grad(loss(logarithms), logarithms)
    functional.cross_entropy(flat.model(data.x_train), data.y_train).backward()
    hook.after_backward(loop)
    torch.testing.assert_close(hook.thresholds, -expected, rtol=1e-4, atol=1e-7)

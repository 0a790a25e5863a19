"""What the mechanism's figure is made of."""

import torch
from torch import nn

from figures.mechanism import curvatures
from nets.data import load


def test_curvatures_are_the_diagonal_of_the_hessian_of_the_loss():
    data = load("digits")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 10))
    found = curvatures(model, data)
    inputs, labels = data.normalise(data.x_train), data.y_train
    layers = [model[1], model[3]]
    loss = nn.functional.cross_entropy(model(inputs), labels)
    for layer, one in zip(layers, found):
        (gradient,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
        for place in range(0, layer.weight.numel(), 7):
            (second,) = torch.autograd.grad(gradient.reshape(-1)[place], layer.weight, retain_graph=True)
            torch.testing.assert_close(
                one.reshape(-1)[place], second.reshape(-1)[place], rtol=1e-3, atol=1e-6
            )

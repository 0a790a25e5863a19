"""Evaluation of whatever is data, and devices that are not there."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nets
from nets import Play, evaluate
from nets.data import load
from nets.lottery import device_of

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 3


def network(outputs=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(4, outputs)


def test_a_pair_is_evaluated_as_a_whole():
    model = network()
    right = float((model(X).argmax(1) == Y).float().mean())
    for data in ((X, Y), (X.numpy(), Y.numpy()), TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 7)):
        assert evaluate(model, data).accuracy == pytest.approx(right)
    only = Y == 2  # labels are indices, though the first two do not occur
    assert evaluate(model, (X[only], Y[only])).accuracy == pytest.approx(
        float((model(X[only]).argmax(1) == 2).float().mean())
    )
    found = evaluate(network(1), (X, X[:, 0]))
    assert found.metric.name == "rmse"
    with pytest.raises(ValueError, match="same samples, got 60 and 3"):
        evaluate(model, (X, Y[:3]))


def test_names_and_parts_are_loaded():
    model = nets.models.build("lenet-300-100", load("digits"))
    assert evaluate(model, "digits", "test") == evaluate(model, load("digits"), "test")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said():
    with pytest.raises(ValueError, match="device 'cuda' is not here: torch sees no such device"):
        nets.play(Play(device="cuda"))
    with pytest.raises(ValueError, match="device 'gpu' is none"):
        device_of("gpu")
    assert device_of("cpu") == torch.device("cpu")

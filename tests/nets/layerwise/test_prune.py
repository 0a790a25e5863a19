"""Pruning layer by layer: what any network must get, whatever its layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import nets
from nets.layerwise.moments import Calibration, gather
from nets.layerwise.sites import find_sites


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **settings: bool) -> None:
        super().__init__()
        self.cell = kind(6, 5, 2, batch_first=True, **settings)
        self.out = nn.Linear(10 if settings.get("bidirectional") else 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.attention(x, x, x)[0].mean(1))


class Conv1D(nn.Module):
    """As in Hugging Face's GPT-2: the weight is transposed."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.randn(nf))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def convolutional(**settings: int | str) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, **settings),  # type: ignore[arg-type]
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


NETWORKS = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)), (6,)),
    "conv1D": (lambda: nn.Sequential(Conv1D(9, 6), nn.ReLU(), Conv1D(3, 9)), (6,)),
    "conv": (lambda: convolutional(padding=1, stride=2), (4, 7, 7)),
    "groups": (lambda: convolutional(groups=2, dilation=2, padding="same"), (4, 7, 7)),
    "circular": (lambda: convolutional(padding=1, padding_mode="circular"), (4, 7, 7)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(3, 6, 3, padding=2), nn.ReLU(), nn.Flatten()), (3, 5)),
    "attention": (Attentive, (5, 8)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), (5, 8)),
    "lstm": (lambda: Recurrent(nn.LSTM), (4, 6)),
    "gru": (lambda: Recurrent(nn.GRU, bidirectional=True), (4, 6)),
    "rnn": (lambda: Recurrent(nn.RNN), (4, 6)),
}


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    make, shape = NETWORKS[request.param]
    torch.manual_seed(0)
    return make(), torch.randn(300, *shape)


def test_moments_are_those_of_what_the_layers_compute(network: tuple[nn.Module, Tensor]) -> None:
    """With the dense weights the error that the moments give is zero: x, y and W belong together."""
    model, x = network
    model.eval()
    sites, left_out = find_sites(model)
    assert not left_out
    found = gather(model, model, sites, Calibration.of(x, torch.float64))
    parameters = dict(model.named_parameters())
    for site in sites:
        gram, cross, squares, _, _ = found[site.name].means(centred=False)
        w = site.matrix(parameters[site.parameter].detach()).double().numpy()
        assert abs(w @ gram - cross).max() < 1e-5 * abs(cross).max()
        assert abs((w @ gram * w).sum(-1) - squares).max() < 1e-4 * squares.max()


def test_a_pruned_network_keeps_the_exact_count_and_the_model_is_left_alone(
    network: tuple[nn.Module, Tensor],
) -> None:
    model, x = network
    before = copy.deepcopy(model.state_dict())
    model.train()
    ticket = nets.prune(model, x, 0.5)
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert ticket.kept == round(0.5 * ticket.total)
    assert ticket.total == sum(p.numel() for p in model.parameters() if p.dim() > 1)
    pruned = ticket.apply(copy.deepcopy(model)).eval()
    assert torch.isfinite(pruned(x)).all()


def test_a_network_pruned_at_density_one_is_the_dense_one(network: tuple[nn.Module, Tensor]) -> None:
    model, x = network
    model.eval()
    ticket = nets.prune(model, x, 1.0)
    pruned = ticket.apply(copy.deepcopy(model)).eval()
    torch.testing.assert_close(pruned(x), model(x), rtol=1e-4, atol=1e-4)

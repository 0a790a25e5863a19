"""Pruning layer by layer: what any network must get, whatever its layers."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

import nets
from nets.layerwise.allocation import share_out
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


@pytest.mark.parametrize("allocation", ["row", "layer", "global"])
def test_every_allocation_keeps_the_exact_count(allocation: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 7))
    ticket = nets.prune(model, torch.randn(500, 20), 0.237, allocation=allocation, certify=False)
    assert ticket.kept == round(0.237 * ticket.total)
    if allocation == "row":
        counts = ticket.masks["0.weight"].sum(1)
        assert counts.max() - counts.min() <= 1


def test_shares_follow_the_price_of_a_weight() -> None:
    """A layer whose error falls a hundred times as fast gets more; an equal one gets as much."""
    shares = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
    error = 0.1 * (1 - shares) ** 2
    counts = share_out([error, 100 * error, error], shares, [1000, 1000, 1000], 600, 0.2)
    assert sum(counts) == 600
    assert counts[1] > counts[0]
    assert abs(counts[0] - counts[2]) <= 1


def test_n_of_m_on_a_whole_network() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 8))
    ticket = nets.prune(model, torch.randn(300, 16), granularity="2:4")
    for mask in ticket.masks.values():
        assert (mask.view(len(mask), -1, 4).sum(2) == 2).all()


@pytest.mark.parametrize("solver", ["magnitude", "wanda", "sparsegpt", "obc", "alps", "sparsegpt+refit"])
def test_rivals_go_through_the_same_door(solver: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 8))
    x = torch.randn(300, 16)
    rival, ours = (
        nets.prune(model, x, 0.4, solver=solver, certify=False),
        nets.prune(model, x, 0.4, allocation="layer"),
    )
    assert rival.kept == ours.kept
    assert rival.metadata["method"] == solver
    assert ours.certificate is not None
    assert rival.certificate is not None
    assert ours.certificate.layers[0].fitted <= rival.certificate.layers[0].fitted * 1.001


class Dead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.never = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def test_faults_are_told_in_a_sentence() -> None:
    model = nn.Sequential(nn.Linear(100, 8), nn.ReLU(), nn.Linear(8, 2))
    x = torch.randn(300, 100)
    with pytest.raises(ValueError, match="no calibration data"):
        nets.prune(model, [], 0.5)
    with pytest.raises(ValueError, match="saw 5 samples for 100 inputs, too few for a ridge"):
        nets.prune(model, x[:5], 0.5, hold_out=False)
    with pytest.raises(ValueError, match="inputs or outputs of 0 are NaN"):
        nets.prune(model, x / 0.0 * 0.0, 0.5)
    with pytest.raises(ValueError, match="never never saw data"):
        nets.prune(Dead(), torch.randn(100, 4), 0.5)
    with pytest.raises(ValueError, match=r"density 0\.3 is out of reach for 2:4"):
        nets.prune(model, x, 0.3, granularity="2:4")
    with pytest.raises(ValueError, match="density must be in"):
        nets.prune(model, x, 1.5)
    with pytest.raises(ValueError, match="did you mean 'sparsegpt'"):
        nets.prune(model, x, 0.5, solver="sparsegtp")
    with pytest.raises(TypeError, match="iterable of batches"):
        nets.prune(model, 3, 0.5)


def test_what_is_left_out_is_said_and_tied_weights_are_pruned_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(10, 6), nn.Linear(6, 10, bias=False)
            self.head.weight = self.table.weight
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.b(torch.relu(self.a(self.table(x)))))

    torch.manual_seed(0)
    model = Tied()
    ticket = nets.prune(model, torch.randint(0, 10, (200, 5)), 0.5)
    assert set(ticket.masks) == {"a.weight"}
    assert "table.weight" in ticket.metadata["left_out"]
    assert ticket.certificate is not None
    assert ticket.certificate.layers[0].samples == 2 * 5 * 160


def test_padded_tokens_do_not_count() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
            return self.layer(tokens)

    torch.manual_seed(0)
    mask = torch.rand(20, 7) < 0.6
    tokens = torch.randn(20, 7, 4)
    batches = [{"tokens": tokens, "attention_mask": mask.long()}]
    model = Reader().eval()
    found = gather(model, model, find_sites(model)[0], Calibration.of(batches, torch.float64))
    kept = tokens[mask].double()
    inputs = found["layer.weight"].inputs
    assert inputs.count == len(kept)
    torch.testing.assert_close(inputs.gram[0], kept.T @ kept)


class Residual(nn.Module):
    """A block whose activations and sums are made anew, or in place."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 12)
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        if not self.in_place:
            return torch.relu(self.second(torch.relu(self.first(x - 1.0))) + x - 1.0)
        x -= 1.0
        out = self.second(self.first(x).relu_())
        out += x
        return out.relu_()


class Inference(Residual):
    """Its tensors keep no count of their changes."""

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("sequential", [True, False])
def test_a_network_that_works_in_place_is_pruned_as_one_that_does_not(
    sequential: bool, inference: bool
) -> None:
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    found = []
    for in_place in (False, True):
        torch.manual_seed(1)
        last = Inference if inference else Residual
        model = nn.Sequential(Residual(in_place), last(in_place), nn.Linear(12, 3))
        found.append(nets.prune(model, x, density=0.4, sequential=sequential))
    assert torch.equal(x, before)
    assert all(torch.equal(found[1].masks[name], mask) for name, mask in found[0].masks.items())
    for one, other in zip(found[0].certificate.layers, found[1].certificate.layers):
        assert other.error == pytest.approx(one.error, rel=1e-4, abs=1e-7)
        assert other.held_out == pytest.approx(one.held_out, rel=1e-4, abs=1e-7)
    assert found[1].certificate.output_change == pytest.approx(found[0].certificate.output_change, rel=1e-4)


def plain() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "solver", ["concave", "magnitude", "wanda", "sparsegpt", "obc", "alps", "wanda+refit"]
)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_layers_whose_inputs_never_differ_keep_their_largest_weights(solver: str, value: float) -> None:
    """Dead units do that, and layers that a tiny density has emptied."""
    model, x = plain(), torch.full((60, 12), value)
    ticket = nets.prune(model, x, density=0.25, solver=solver)
    assert ticket.kept == round(0.25 * ticket.total)
    if solver == "concave" and value:
        weight = model[2].weight.abs()
        assert weight[ticket.masks["2.weight"]].min() >= weight[~ticket.masks["2.weight"]].max()


@pytest.mark.parametrize("allocation", ["row", "layer", "global"])
@pytest.mark.parametrize("kept", [1, 3, 10])
def test_very_few_weights_are_kept_as_asked(allocation: str, kept: int) -> None:
    x = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    ticket = nets.prune(plain(), x, density=kept / 344, allocation=allocation)
    assert ticket.kept == kept


def test_data_in_one_piece_are_cut_into_batches() -> None:
    x = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(100) % 3
    expected = nets.prune(plain(), x, density=0.5)
    for data in (x.double().numpy(), x.double(), (x, labels), (x.double().numpy(), labels.numpy())):
        ticket = nets.prune(plain(), data, density=0.5)
        assert all(torch.equal(ticket.masks[name], mask) for name, mask in expected.masks.items())
    assert nets.prune(plain(), torch.utils.data.TensorDataset(x, labels), density=0.5).kept == expected.kept
    assert nets.prune(plain(), tuple(x.split(20)), density=0.5).kept == expected.kept


def test_data_sets_wrapped_networks_and_other_dtypes_are_taken() -> None:
    x = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    expected = nets.prune(plain(), x, density=0.5)
    wrapped = nets.prune(nn.DataParallel(plain()), x, density=0.5)
    double = nets.prune(plain().double(), x, density=0.5)
    for ticket in (wrapped, double):
        assert list(ticket.masks) == list(expected.masks)
        alike = sum(int((ticket.masks[n] == m).sum()) for n, m in expected.masks.items())
        assert alike > 0.95 * expected.total
    digits = nets.data.load("digits")
    ticket = nets.prune(nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), digits, 0.5)
    assert ticket.certificate.layers[0].samples == 800
    packed = [nn.utils.rnn.pack_sequence([torch.randn(5, 4), torch.randn(3, 4)]) for _ in range(20)]
    assert nets.prune(nn.LSTM(4, 3), [(one,) for one in packed], 0.5).certificate.output_change > 0


def test_targets_in_a_mapping_are_left_out_where_the_network_takes_none() -> None:
    model = nn.Linear(12, 3)
    batch = {"input": torch.randn(60, 12), "labels": torch.zeros(60)}
    one, other = nets.prune(model, batch), nets.prune(model, [batch])
    assert one.kept == other.kept == 18


@pytest.mark.parametrize(
    ("data", "settings", "sentence"),
    [
        (torch.zeros(0, 12), {}, "there are no calibration data: it holds no sample"),
        (torch.ones(20, 12), {"density": "0.1"}, "density, the share kept, must be a real number, got '0.1'"),
        (torch.ones(20, 12), {"density": {"*": 0.1}}, "density, the share kept, must be a real number"),
        (torch.ones(20, 12), {"penalty": 3}, "penalty must be a Penalty or its name"),
        (torch.ones(20, 12), {"ridge": "a"}, "ridge must be a real number, got 'a'"),
        (
            torch.ones(20, 12),
            {"granularity": "row"},
            'granularity must be "weight", "channel", "head" or N:M',
        ),
        (
            torch.ones(20, 12),
            {"granularity": "package.module:blocks"},
            'granularity must be "weight", "channel", "head" or N:M',
        ),
        (torch.ones(20, 12), {"allocation": "some"}, "allocation must be one of row, layer, global"),
        (torch.ones(20, 12), {"include": "foo"}, "pattern 'foo' matches no prunable weight"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(
    data: Tensor, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        nets.prune(plain(), data, **settings)


def test_names_of_penalties_and_single_patterns_are_taken() -> None:
    x = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    ticket = nets.prune(plain(), x, penalty="log(0.1)", include="0.*")
    assert list(ticket.masks) == ["0.weight"]


def masked_by(module: nn.Module) -> nn.Module:
    return nets.Ticket({"weight": torch.eye(12) > 0}, module.state_dict()).attach(module)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            nn.utils.parametrizations.weight_norm,
            r"0\.weight is made by .* WeightNorm: .*remove_parametrizations",
        ),
        (
            nn.utils.parametrizations.orthogonal,
            r"0\.weight is made by .* Orthogonal: .*remove_parametrizations",
        ),
        (masked_by, r"0\.weight carries a mask: nets\.make_permanent"),
        (
            lambda m: torch_prune.random_unstructured(m, "weight", 0.5),
            r"0\.weight carries a mask of torch",
        ),
    ],
)
def test_weights_that_others_make_are_refused_with_the_remedy(made: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        nets.prune(nn.Sequential(made(nn.Linear(12, 12)), nn.Linear(12, 3)), torch.randn(60, 12))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_older_weight_norm_is_left_out() -> None:
    model = nn.Sequential(nn.Linear(12, 12), nn.utils.weight_norm(nn.Linear(12, 3)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model(torch.zeros(1, 12))
    for p in model.parameters():
        p.requires_grad_(False)
    ticket = nets.prune(model, torch.randn(60, 12, generator=generator))
    assert list(ticket.masks) == ["0.weight"]
    assert "1.weight_v" in ticket.metadata["left_out"]


@pytest.mark.parametrize(
    "data", [[[1.0, 2.0], [3.0, 4.0]], [[[1.0, 2.0]], [[3.0, 4.0]]], [["a"]], [None], [3.0]], ids=repr
)
def test_batches_without_a_tensor_are_refused_in_a_sentence(data: object) -> None:
    with pytest.raises(TypeError, match=r"holds no tensor, got .*torch\.tensor"):
        nets.prune(nn.Linear(2, 2), data, 0.5)


def test_inputs_that_never_differ_need_no_ridge() -> None:
    """Their weights change nothing once the bias is fitted: no division by a zero on the diagonal."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 5))
    x = torch.randn(400, 2, 6, 6)
    x[:, 1] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ticket = nets.prune(model, x, 0.5, ridge=0)
    pruned = ticket.apply(copy.deepcopy(model))
    assert all(bool(torch.isfinite(p).all()) for p in pruned.parameters())
    change = (pruned(x) - model(x)).square().sum() / model(x).square().sum()
    assert change < 0.1


def test_a_layer_that_hardly_reaches_the_output_keeps_fewer_weights() -> None:
    """Shared out over the network, weights go where the output needs them, not by the layers' own errors."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loud, self.quiet = nn.Linear(30, 20), nn.Linear(30, 20)

        def forward(self, x: Tensor) -> Tensor:
            return self.loud(x) + 0.05 * self.quiet(x)

    torch.manual_seed(0)
    model = Branches()
    model.quiet.load_state_dict(model.loud.state_dict())  # the same layer: the same error at the same count
    ticket = nets.prune(model, torch.randn(500, 30), 0.3, allocation="global")
    kept = {name: int(mask.sum()) for name, mask in ticket.masks.items()}
    assert kept["loud.weight"] > 2 * kept["quiet.weight"]
    assert sum(kept.values()) == round(0.3 * 1200)


def test_every_layer_of_a_block_is_fitted_on_what_it_will_meet() -> None:
    """Fitted all at once, each layer of a block would correct once more what came in changed."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.beside = nn.Linear(16, 24), nn.Linear(16, 24)
            self.second = nn.Linear(24, 16)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.second(torch.tanh(self.first(x) + self.beside(x)))

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x)
            return x

    torch.manual_seed(0)
    model, x = Residual(), torch.randn(300, 16)
    ticket = nets.prune(model, x, 0.4, hold_out=False, allocation="layer")
    pruned = ticket.apply(copy.deepcopy(model))
    met: dict[tuple[int, str], Tensor] = {}
    for which, network in enumerate((model, pruned)):
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(
                    lambda _, __, y, key=(which, f"{name}.weight"): met.__setitem__(key, y.detach())
                )
        network(x)
    assert ticket.certificate is not None
    for layer in ticket.certificate.layers:
        wanted, found = met[0, layer.name], met[1, layer.name]
        error = (found - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()
        assert float(error) == pytest.approx(layer.error, rel=1e-3), layer.name

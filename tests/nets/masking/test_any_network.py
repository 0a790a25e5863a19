"""Masks on networks that are not plain stacks: tied, recurrent, packed, normalised, pruned, wrapped."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import nets
from nets.export.compact import shrink
from nets.granularity.factory import groups_of
from nets.masking.layout import Layout, maskable


class Tied(nn.Module):
    """An embedding and the projection to logits that shares its weight, or two tied linear layers."""

    def __init__(self, linear=False):
        super().__init__()
        self.e = nn.Linear(5, 4) if linear else nn.Embedding(5, 4)
        self.o = nn.Linear(5 if linear else 4, 4 if linear else 5)
        self.o.weight = self.e.weight

    def forward(self, x):
        return self.o(self.e(x)) if isinstance(self.e, nn.Embedding) else self.o(x) + self.e(x)


def four_of_twenty(shape):
    mask = torch.zeros(20, dtype=torch.bool)
    mask[[0, 7, 11, 19]] = True
    return mask.view(shape)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("name", ["e.weight", "o.weight"])
def test_a_tied_weight_is_masked_wherever_it_is_used(linear, name):
    """Fault: all 20 weights were nonzero after `apply`, and `attach` left the second layer dense."""
    model = Tied(linear)
    x = torch.arange(5) if not linear else torch.randn(3, 5)
    mask = four_of_twenty(model.e.weight.shape)
    state = {n: t.detach().clone() for n, t in model.state_dict().items()}
    state["o.weight"] += 1.0  # whatever the other name holds
    ticket = nets.Ticket({name: mask}, state)
    applied = ticket.apply(copy.deepcopy(model))
    assert int((applied.e.weight != 0).sum()) == 4
    assert applied.o.weight is applied.e.weight
    attached = ticket.attach(copy.deepcopy(model))
    assert torch.equal(attached.e.weight, applied.e.weight)
    assert torch.equal(attached.o.weight, applied.e.weight)
    torch.testing.assert_close(attached(x), applied(x))
    permanent = nets.make_permanent(copy.deepcopy(attached))
    torch.testing.assert_close(permanent(x), applied(x))
    assert permanent.o.weight is permanent.e.weight
    optimiser = torch.optim.AdamW(applied.parameters(), lr=0.1, weight_decay=0.5)
    ticket.hold(applied, optimiser)
    for _ in range(3):
        applied(x).square().sum().backward()
        optimiser.step()
        assert not applied.o.weight[~mask].any()


def test_relaxed_masks_on_a_tied_weight_are_one_and_become_permanent_once():
    model = nets.attach(Tied(linear=True), {"e.weight": torch.rand(4, 5) / 2 + 0.1})
    x = torch.randn(3, 5)
    before = model(x)
    assert sum(name.endswith("mask") for name, _ in model.named_parameters()) == 1
    torch.testing.assert_close(nets.make_permanent(model)(x), before)
    with pytest.raises(ValueError, match="are one weight, and their masks differ"):
        nets.attach(model, {"e.weight": four_of_twenty((4, 5)), "o.weight": torch.ones(4, 5).bool()})


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer_with_a_mask_is_copied_averaged_and_pickled(kind):
    """Fault: the masked weights that the layer keeps flattened could not be copied."""
    layer = kind(3, 6, num_layers=2)
    names = maskable(layer)
    assert names == ("weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1")
    masks = {name: torch.rand_like(dict(layer.named_parameters())[name]) < 0.5 for name in names}
    nets.attach(layer, masks)
    x = torch.randn(4, 2, 3)
    out = layer(x)[0]
    for twin in (
        copy.deepcopy(layer),
        torch.optim.swa_utils.AveragedModel(layer),
        pickle.loads(pickle.dumps(layer)),
        nets.make_permanent(copy.deepcopy(layer)),
    ):
        torch.testing.assert_close(twin(x)[0], out)
        twin(x)[0].sum().backward()
    assert not nets.make_permanent(layer).weight_hh_l0[~masks["weight_hh_l0"]].any()


class Conv1D(nn.Module):
    """As in Hugging Face: a linear layer with its inputs first."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))


class Odd(nn.Module):
    """Beside a plain head a layer without inputs, a lazy, a complex or a double one."""

    def __init__(self, kind):
        super().__init__()
        self.first = nn.Linear(6, 4)
        self.odd = {
            "empty": lambda: nn.Linear(0, 4),
            "lazy": lambda: nn.LazyLinear(4),
            "complex": lambda: nn.Linear(6, 4, dtype=torch.complex64),
            "double": lambda: nn.Linear(6, 4, dtype=torch.float64),
        }[kind]()
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        odd = self.odd(x[:, : self.odd.in_features].to(self.odd.weight.dtype))
        return self.last(torch.relu(self.first(x) + (odd.abs() if odd.is_complex() else odd).float()))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("method", ["concave", "gmp", "set", "edge-popup", "soft-threshold", "random"])
def test_a_layer_without_weights_is_left_out(method):
    """Fault: raw errors of empty maxima and of divisions by zero."""
    model, x = Odd("empty"), torch.randn(30, 6)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    masking = nets.Masking(model, optimiser, method, density=0.25, steps=8)
    for _ in range(8):
        model(x).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    ticket = masking.ticket()
    assert (set(ticket.masks), ticket.kept) == ({"first.weight", "last.weight"}, 8)
    assert nets.prune(Odd("empty"), x, density=0.5, solver="magnitude").kept == 16


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("lazy", "odd.weight has no shape yet: run the network once"),
        ("complex", r"odd.weight is of torch.complex64, and masks are for real weights: exclude=\['odd"),
        ("double", r"share one dtype and device, found .*: mask those of one kind, by include or exclude"),
    ],
)
def test_weights_that_no_mask_fits_are_told_with_the_remedy(kind, sentence):
    """Fault: raw errors of torch for the first two."""
    model = Odd(kind)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match=sentence):
        nets.Masking(model, optimiser, steps=8)
    if kind == "lazy":
        with pytest.raises(ValueError, match=sentence):
            nets.prune(model, torch.randn(4, 6), density=0.5)
    else:
        masking = nets.Masking(model, optimiser, steps=8, exclude="odd.weight", density=0.5)
        assert masking.n == 32
    if kind == "complex":
        assert nets.prune(model, torch.randn(9, 6), density=0.5, solver="magnitude").total == 32


class Zoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.places = nn.Embedding(2, 2)
        self.gru = nn.GRU(8, 8)
        self.cell = nn.LSTMCell(8, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.cross = nn.MultiheadAttention(8, 2, kdim=4, vdim=6)
        self.up = nn.ConvTranspose2d(8, 4, 2)
        self.projection = Conv1D(6, 4)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 50)
        self.head.weight = self.words.weight


def test_the_default_rule_covers_layers_by_what_they_are_and_tells_what_it_leaves_out():
    model = Zoo()
    with pytest.warns(UserWarning, match=r"1% of the parameters each: words.weight; include=\[\*nets"):
        names = maskable(model)
    assert names == (
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "cell.weight_ih",
        "cell.weight_hh",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "cross.q_proj_weight",
        "cross.k_proj_weight",
        "cross.v_proj_weight",
        "cross.out_proj.weight",
        "up.weight",
        "projection.weight",
    )
    assert maskable(model, exclude="words.weight") == names
    assert set(maskable(model, include=[*names, "words.weight"])) == {*names, "words.weight"}
    assert "up.weight" in maskable(model, units=True)
    assert "cell.weight_hh" not in maskable(model, units=True)


def test_masks_of_any_type_are_read_before_one_is_attached():
    """Fault: a second mask that could not be read left the first attached; 0.0 and 1.0 were trained."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    good = torch.rand(3, 4) < 0.5
    with pytest.raises(ValueError, match=r"mask of 1.weight is of torch.uint8 with entries beside 0 and 1"):
        nets.attach(model, {"0.weight": good, "1.weight": torch.full((2, 3), 2, dtype=torch.uint8)})
    assert set(model.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    nets.attach(model, {"0.weight": good.float(), "1.weight": torch.ones(2, 3, dtype=torch.uint8)})
    assert set(dict(model.named_parameters())) == {
        "0.bias",
        "0.parametrizations.weight.original",
        "1.bias",
        "1.parametrizations.weight.original",
    }
    assert not model[0].weight[~good].any()


def test_masks_of_torch_pruning_go_in_and_out():
    """Fault: a network that torch.nn.utils.prune had touched gave a raw error."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    plain = copy.deepcopy(model)
    prune.l1_unstructured(model[0], "weight", 0.5)
    for act in (
        lambda: nets.attach(model, {"0.weight": torch.ones(5, 6).bool()}),
        lambda: nets.Masking(model, torch.optim.SGD(model.parameters(), 0.1), steps=5),
        lambda: nets.Ticket({"0.weight": torch.ones(5, 6).bool()}, plain.state_dict()).apply(model),
        lambda: nets.find_ticket(model, (torch.rand(40, 6), torch.arange(40) % 2)),
        lambda: nets.find_ticket(model, train=lambda model, masking: None, steps=9),
        lambda: nets.models.reinitialise(model, seed=0),
    ):
        with pytest.raises(ValueError, match=r"0.weight carries a mask of torch.nn.utils.prune"):
            act()
    ticket = nets.Ticket.from_pruned(model)
    assert ticket.kept == 15
    x = torch.randn(3, 6)
    torch.testing.assert_close(ticket.apply(copy.deepcopy(plain))(x), model(x))
    again = ticket.to_pruned(copy.deepcopy(plain))
    torch.testing.assert_close(again(x), model(x))
    assert prune.is_pruned(again)
    assert torch.equal(nets.Ticket.from_pruned(again).masks["0.weight"], ticket.masks["0.weight"])
    with pytest.raises(ValueError, match="carries no mask"):
        nets.Ticket.from_pruned(plain)
    prune.remove(model[0], "weight")
    assert maskable(model) == ("2.weight", "0.weight") or maskable(model) == ("0.weight", "2.weight")


def test_a_mask_becomes_permanent_beside_weight_norm_and_not_beside_spectral_norm():
    """Fault: the user's normalisation was taken off with the mask."""
    x, mask = torch.randn(3, 6), torch.rand(5, 6) < 0.5
    mask[:, 0] = True
    layer = parametrizations.weight_norm(nn.Linear(6, 5))
    nets.attach(layer, {"weight": mask})
    out = layer(x)
    nets.make_permanent(layer)
    torch.testing.assert_close(layer(x), out)
    assert set(dict(layer.named_parameters())) == {
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    }
    assert not layer.weight[~mask].any()
    layer = parametrizations.spectral_norm(nn.Linear(6, 5)).eval()
    nets.attach(layer, {"weight": mask})
    out = layer(x)
    with pytest.raises(ValueError, match="SpectralNorm besides its mask"):
        nets.make_permanent(layer)
    torch.testing.assert_close(layer(x), out)
    old = nn.Linear(6, 5)
    del old.weight
    old.weight = torch.randn(5, 6)
    with pytest.raises(ValueError, match="computed before every pass"):
        nets.attach(old, {"weight": mask})


def test_a_ticket_finds_names_behind_wrappers_takes_new_ones_and_leaves_a_changed_head_alone():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    masks = {"0.weight": torch.rand(5, 6) < 0.5, "2.weight": torch.rand(2, 5) < 0.5}
    ticket = nets.Ticket(masks, {n: t.clone() for n, t in model.state_dict().items()})
    wrapped = nn.DataParallel(torch.compile(copy.deepcopy(model), backend="eager"))
    ticket.apply(wrapped)
    assert not model[0].weight[~masks["0.weight"]].eq(0).any()
    assert not wrapped.module._orig_mod[0].weight[~masks["0.weight"]].any()
    other = nn.ModuleDict({"first": nn.Linear(6, 5), "last": nn.Linear(5, 2)})
    names = {
        "0.weight": "first.weight",
        "0.bias": "first.bias",
        "2.weight": "last.weight",
        "2.bias": "last.bias",
    }
    ticket.apply(other, rename=names)
    assert torch.equal(other["first"].weight, torch.where(masks["0.weight"], model[0].weight, 0))
    assert set(ticket.renamed(names.get).masks) == {"first.weight", "last.weight"}
    head = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 7))
    with pytest.raises(ValueError, match=r"2.weight has shape"):
        ticket.apply(head)
    before = head[2].weight.clone()
    ticket.apply(head, strict=False)
    optimiser = torch.optim.SGD(head.parameters(), 0.1)
    assert list(ticket.hold(head, optimiser, strict=False).layout.names) == ["0.weight"]
    assert torch.equal(head[2].weight, before)
    assert not head[0].weight[~masks["0.weight"]].any()
    with pytest.raises(ValueError, match="no mask of this ticket fits"):
        ticket.apply(nn.Sequential(nn.Linear(2, 2)), strict=False)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: torch.compile(model, backend="eager"),
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
    ],
)
def test_a_ticket_of_a_wrapped_network_is_one_of_the_network_inside(wrap):
    """Fault: names of the wrapper, and the counter of averages, which no other network has."""
    inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    data = torch.randn(60, 6), torch.arange(60) % 2
    ticket = nets.find_ticket(wrap(inner), data, "random", density=0.5, epochs=2)
    assert set(ticket.masks) == {"0.weight", "2.weight"}
    assert list(ticket.weights) == list(inner.state_dict())
    ticket.apply(wrap(copy.deepcopy(inner)))
    assert nets.retrain(ticket, wrap(inner), data, epochs=1).test_score >= 0.0

    def my_training(model, masking):
        assert type(model) is type(wrap(inner))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        masking.attach(optimiser, steps=2)
        for _ in range(2):
            nn.functional.cross_entropy(model(data[0]), data[1]).backward()
            optimiser.step()

    own = nets.find_ticket(wrap(inner), method="magnitude", density=0.5, train=my_training)
    assert (set(own.masks), list(own.weights)) == ({"0.weight", "2.weight"}, list(inner.state_dict()))


def test_a_ticket_tells_the_density_of_the_whole_network():
    model = nn.Sequential(nn.Embedding(10, 6), nn.Linear(6, 5), nn.BatchNorm1d(5))
    mask = torch.zeros(5, 6, dtype=torch.bool)
    mask[0] = True
    ticket = nets.Ticket({"1.weight": mask}, model.state_dict())
    assert ticket.density == 6 / 30
    assert ticket.network_density == (60 + 6 + 5 + 10) / (60 + 30 + 5 + 10)


class UpAndDown(nn.Module):
    """Convolutions in groups and transposed ones, as in a U-Net or ResNeXt."""

    def __init__(self, groups=4, up_groups=1):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 16, 3, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 12, 2, stride=2, groups=up_groups)
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, x):
        x = torch.relu(self.norm(self.grouped(torch.relu(self.first(x)))))
        return self.last(torch.relu(self.up(x)))


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("up_groups", [1, 4])
def test_channels_of_grouped_and_transposed_convolutions_go(groups, up_groups):
    """Fault: conv to transposed conv, and four groups, were refused with a reason that was untrue."""
    torch.manual_seed(0)
    model = UpAndDown(groups, up_groups)
    layout = Layout.of(model, maskable(model, units=True))
    channels = groups_of("channel", model, layout, torch.randn(4, 3, 6, 6))
    scores = torch.rand(layout.total, generator=torch.Generator().manual_seed(1))
    mask = channels.select(scores, int(0.6 * layout.total))
    assert 0 < channels.weights(channels.alive(mask)) == int(mask.sum()) <= int(0.6 * layout.total)
    ticket = nets.Ticket(layout.split(mask), {n: t.clone() for n, t in model.state_dict().items()})
    small = shrink(ticket.apply(model.eval()), ticket, torch.randn(2, 3, 6, 6))
    assert sum(p.numel() for p in small.parameters()) < 0.75 * sum(p.numel() for p in model.parameters())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)
    alive = channels.alive(mask)
    assert torch.equal(channels.expand(alive), mask)
    assert torch.equal(channels.own(channels.spread(alive.float())) == 1, alive)

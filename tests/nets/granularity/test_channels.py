"""Channel masks: whole units, exact budgets, living layers, nested rounds; every method that claims them."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from concave_sparsity import Log
from convex_analysis import MaskProblem
from nets.analysis.controls import control
from nets.configuration import Play, Training
from nets.data import load
from nets.granularity.channels import Channels
from nets.granularity.factory import groups_of
from nets.lottery import find_ticket, find_tickets, play, retrain
from nets.masking.layout import Layout, maskable
from nets.masking.selection import select
from nets.methods import method, method_names
from nets.models import build
from nets.models.flops import count_flops
from nets.models.vision_transformer import vit_lite
from nets.tickets import Ticket

METHODS = [name for name in method_names() if "channel" in method(name).granularities]
TRAINING = Training(epochs=2, batch_size=40, lr=0.05, momentum=0.9, weight_decay=1e-3)
MODELS = {"lenet-300-100": (1, 8, 8), "resnet-20": (3, 8, 8), "vit-lite": (1, 8, 8)}


def grouped(model, shape):
    layout = Layout.of(model, maskable(model))
    channels = Channels(model, layout, torch.randn(1, *shape))
    channels.model_and_shape = model, shape
    return Layout(layout.names, layout.shapes, channels)


@pytest.fixture(scope="module", params=MODELS)
def layout(request):
    shape = MODELS[request.param]
    spec = partial(vit_lite, depth=2) if request.param == "vit-lite" else request.param
    return grouped(build(spec, shape, 10, width=1 / 8), shape)


@given(density=st.floats(0.2, 1.0), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_units_live_or_die_as_a_whole_within_the_budget(layout, density, seed):
    channels = layout.groups
    scores = torch.rand(layout.total, generator=torch.Generator().manual_seed(seed)) ** 4
    count = channels.count(density)
    mask = select(scores, layout, count)
    alive = channels.alive(mask)
    assert torch.equal(channels.expand(alive), mask)
    assert channels.weights(alive) == int(mask.sum()) <= count
    for block, part in zip(channels.blocks, layout.segments(mask)):
        table = part.view(len(block.rows), len(block.columns), -1)
        live = torch.cat([alive, alive.new_ones(1)])
        assert torch.equal(table.any(2), live[block.rows][:, None] & live[block.columns])
        assert table.any()
    # the next in the ranking would not have fitted
    own = channels.pool(scores)
    own[channels.best(own)] = torch.inf
    out = own.masked_fill(alive, -torch.inf)
    if not alive.all():
        assert out.max() <= own[alive].min()
        alive[out.argmax()] = True
        assert channels.weights(alive) > count


@given(first=st.floats(0.5, 1.0), second=st.floats(0.25, 0.5), seed=st.integers(0, 99))
@settings(max_examples=5)
def test_rounds_are_nested(layout, first, second, seed):
    generator = torch.Generator().manual_seed(seed)
    before = select(torch.rand(layout.total, generator=generator), layout, layout.groups.count(first))
    scores = torch.rand(layout.total, generator=generator).masked_fill(~before, -torch.inf)
    after = select(scores, layout, layout.groups.count(second))
    assert (after <= before).all()


def test_scores_are_sums_over_what_computes_and_what_reads_a_unit():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 3))
    layout = grouped(model, (1, 8, 8))
    scores = torch.rand(layout.total, dtype=torch.float64)
    first, second = layout.split(scores).values()
    wanted = first.sum((1, 2, 3)) + second.view(3, 2, 36).sum((0, 2))
    torch.testing.assert_close(layout.groups.pool(scores), wanted)
    torch.testing.assert_close(layout.groups.pool(scores, mean=True), wanted / (9 + 3 * 36))
    pruned = scores.clone()
    pruned[0] = -torch.inf
    lacking = layout.groups.pool(pruned, mean=True)[0]
    torch.testing.assert_close(lacking, (wanted[0] - scores[0]) / (8 + 3 * 36))
    with pytest.raises(ValueError, match="pooling must be one of sum, mean, own"):
        select(scores, layout, 200, pooling="max")
    shared = layout.split(layout.groups.share(scores))
    best = second.view(3, 2, 36).sum((0, 2)).argmax()
    assert torch.isinf(shared["0.weight"]).all()
    columns = shared["3.weight"].view(3, 2, 36)
    assert torch.isinf(columns[:, best]).all()
    torch.testing.assert_close(columns[:, 1 - best], second.view(3, 2, 36)[:, 1 - best].sum().expand(3, 36))


@given(seed=st.integers(0, 99))
@settings(max_examples=5)
def test_operations_are_those_that_one_inference_does(layout, seed):
    model, shape = layout.groups.model_and_shape
    counted = Channels(model, layout, torch.randn(1, *shape), "channel:flops")
    scores = torch.rand(layout.total, generator=torch.Generator().manual_seed(seed))
    mask = counted.select(scores, counted.count(0.5))
    operations = count_flops(model, shape, layout.split(mask)).sparse_layers
    assert 2 * counted.cost(counted.alive(mask)) == sum(operations.values())
    assert counted.cost(counted.alive(mask)) <= 0.5 * counted.whole + 1
    assert counted.report(mask)["flops_density"] == counted.cost(counted.alive(mask)) / counted.whole


@pytest.mark.parametrize("name", ["channel", "channel:flops"])
def test_what_a_unit_costs_is_what_is_saved_without_it(name):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5), nn.Linear(5, 3))
    layout = Layout.of(model, maskable(model))
    channels = Channels(model, layout, torch.randn(1, 1, 8, 8), name)
    alive = torch.tensor([True, False, True, True, False, True, True, True, False])
    costs = channels.costs(alive.to(torch.float64))
    for unit in range(9):
        there, gone = alive.clone(), alive.clone()
        there[unit], gone[unit] = True, False
        assert costs[unit] == channels.cost(there) - channels.cost(gone)
    worth = torch.rand(9, dtype=torch.float64)
    priced = channels.own(channels.priced(worth, channels.spread(alive.to(torch.float64))))
    there = worth * alive
    share = torch.cat([worth[:4] / there[:4].sum(), worth[4:] / there[4:].sum()])
    for_sale = ~channels.best(share / costs)
    torch.testing.assert_close(priced[for_sale], (share / costs)[for_sale])
    assert priced[~for_sale].isinf().all()


def test_too_small_a_density_says_the_smallest(layout):
    with pytest.raises(ValueError, match=r"too few for one unit in every layer.*density of at least"):
        layout.groups.count(1e-4)


def test_a_mask_of_parts_of_units_is_refused(layout):
    mask = torch.ones(layout.total, dtype=torch.bool)
    layout.groups.refuse(mask, layout.total)
    with pytest.raises(AssertionError, match="at most"):
        layout.groups.refuse(mask, layout.total - 1)
    mask[-1] = False
    with pytest.raises(AssertionError, match="in part"):
        layout.groups.refuse(mask, layout.total)


def test_networks_that_cannot_be_cut_are_refused_before_the_search(networks, blobs):
    for name, message in (
        ("Stubborn", r"forward pass fails once channels are gone .*x.shape\[1\]"),
        ("Counting", "outputs differ by"),
        ("Mixing", "mixes the samples"),
    ):
        with pytest.raises(ValueError, match=message):
            find_ticket(
                networks[name](), blobs, "random", density=0.5, granularity="channel", training=TRAINING
            )
    with pytest.raises(ValueError, match="no unit of Sequential can be removed"):
        find_ticket(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), blobs, "random", granularity="channel")
    linear = nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 3))
    layout = Layout.of(linear, maskable(linear, ["*"]))
    with pytest.raises(ValueError, match=r"0.bias is none; exclude it"):
        Channels(linear, layout, torch.randn(1, 64))


def test_the_coupling_found_holds_on_unusual_networks(networks, blobs):
    for name in ("Depthwise", "Heads", "Scaled"):
        model = networks[name]()
        layout = Layout.of(model, maskable(model))
        assert groups_of("channel", model, layout, blobs).units > 0  # tried out, else it raises


@pytest.mark.parametrize("name", METHODS)
def test_every_method_that_claims_channels_finds_them(name, blobs, conv_net):
    one, other = (
        find_ticket(
            conv_net(), blobs, name, density=0.4, training=TRAINING, penalty=Log(0.1), seed=3,
            granularity="channel",
        )
        for _ in range(2)
    )  # fmt: skip
    conv, hidden, out = (one.masks[f"{layer}.weight"] for layer in ("conv", "hidden", "out"))
    channels, neurons = conv.flatten(1).any(1), hidden.any(1)
    assert torch.equal(conv, channels.view(6, 1, 1, 1).expand(conv.shape))
    assert torch.equal(hidden, neurons[:, None] & channels.repeat_interleave(4))
    assert torch.equal(out, neurons.expand(3, 12))
    assert 0.2 < one.density <= 0.4
    assert one.metadata["granularity"] == "channel"
    assert one.metadata["units"] == 6 + 12
    assert one.metadata["units_kept"] == int(channels.sum() + neurons.sum())
    assert all(torch.equal(one.masks[key], other.masks[key]) for key in one.masks)


@pytest.mark.parametrize("name", ["concave", "gmp", "magnitude", "synflow", "l0"])
def test_a_budget_of_operations(name, blobs, conv_net):
    ticket = find_ticket(conv_net(), blobs, name, budget="flops:0.4", training=TRAINING, penalty=Log(0.1))
    assert ticket.metadata["granularity"] == "channel:flops"
    assert 0.15 < ticket.metadata["flops_density"] <= 0.4
    assert count_flops(conv_net(), (1, 8, 8), ticket.masks).share == pytest.approx(
        ticket.metadata["flops_density"], abs=1e-9
    )


@pytest.mark.parametrize("name", ["concave", "magnitude"])
def test_the_learning_rate_alone_goes_back(name, blobs, conv_net):
    shared = {"density": 0.4, "training": TRAINING, "granularity": "channel"}
    rewound = find_ticket(conv_net(), blobs, name, **shared)
    kept = find_ticket(conv_net(), blobs, name, options={"rewinding": "learning-rate"}, **shared)
    assert all(torch.equal(kept.masks[key], mask) for key, mask in rewound.masks.items())
    assert torch.equal(rewound.weights["conv.weight"], conv_net().state_dict()["conv.weight"])
    assert not torch.equal(kept.weights["conv.weight"], rewound.weights["conv.weight"])
    with pytest.raises(ValueError, match="rewinding must be one of weights, learning-rate, got 'no'"):
        find_ticket(conv_net(), blobs, name, options={"rewinding": "no"}, **shared)


@pytest.mark.parametrize("name", ["imp", "gmp", "concave"])
def test_a_density_found_alone_is_the_one_found_with_others(name, blobs, conv_net):
    shared = {"training": TRAINING, "penalty": Log(0.1), "granularity": "channel"}
    alone = find_ticket(conv_net(), blobs, name, density=0.3, **shared)
    _, second = find_tickets(conv_net(), blobs, name, densities=(0.6, 0.3), **shared)
    assert all(torch.equal(alone.masks[key], second.masks[key]) for key in alone.masks)


def test_the_relaxed_mask_is_shared_and_cut_without_loss(blobs, conv_net):
    longer = Training(epochs=8, batch_size=30, lr=0.05)
    ticket = find_ticket(conv_net(), blobs, "concave", density=0.3, training=longer, granularity="channel")
    assert abs(ticket.metadata["report"]["cut_loss"]) <= 0.05
    shown, wanted = ticket.trace["above_half"], ticket.trace["target"]
    assert all(a <= b + 0.5 / ticket.total + 1e-6 for a, b in zip(shown, wanted))  # counts are whole
    assert shown[-1] == pytest.approx(ticket.density, abs=1e-6)
    assert ticket.metadata["report"]["relaxed_density"] == pytest.approx(ticket.density)


@pytest.mark.parametrize("name", ["l0", "continuous-sparsification"])
def test_gates_are_shared_and_steered_by_the_weights_of_their_units(name, blobs, conv_net):
    longer = Training(epochs=12, batch_size=30, lr=0.05)
    ticket = find_ticket(conv_net(), blobs, name, density=0.3, training=longer, granularity="channel")
    mean = ticket.trace["mean"]
    assert ticket.trace["target"][-1] == 0.3
    assert mean[-1] < 0.5
    assert ticket.metadata["report"]["mean_mask"] < 0.5
    assert ticket.density > 0.2


def test_the_score_of_a_unit_is_that_of_a_reader_which_is_there():
    """What reads a living unit may be dead itself, its weights pruned in an earlier round."""
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    layout = grouped(model, (4,))
    own = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    alive = torch.tensor([True, False, True, False, True])  # 3 hidden units, then 2: the first reader is dead
    scores = layout.groups.spread(own, 0.0).masked_fill(~layout.groups.expand(alive), -torch.inf)
    assert torch.equal(layout.groups.own(scores), own.masked_fill(~alive, -torch.inf))
    kept = select(scores, layout, int(layout.groups.expand(alive).sum()), pooling="own")
    assert torch.equal(layout.groups.alive(kept), alive)


def test_rounds_of_the_concave_mask_cut_units_from_units(blobs, conv_net):
    options = {"rounds": 3}
    ticket = find_ticket(
        conv_net(), blobs, "concave", density=0.2, training=TRAINING, granularity="channel", options=options
    )
    assert ticket.metadata["report"]["rounds"] == 3
    assert 0.1 < ticket.density <= 0.2
    with pytest.raises(ValueError, match="leave the options lam, update and relaxation"):
        find_ticket(
            conv_net(), blobs, "concave", density=0.2, granularity="channel", options={"update": "gradient"}
        )


def test_retraining_keeps_dead_units_silent(blobs, conv_net, tmp_path):
    """The bias and the normalisation of a dead unit change nothing: nothing reads it."""
    ticket = find_ticket(conv_net(), blobs, "random", density=0.2, training=TRAINING, granularity="channel")
    ticket = Ticket.load(ticket.save(tmp_path / "t.safetensors"))
    model = retrain(ticket, conv_net(), blobs, training=TRAINING).model.eval()
    state = dict(model.named_parameters())
    for name, mask in ticket.masks.items():
        assert (state[name][~mask] == 0).all()
    before = model(blobs.normalise(blobs.x_test))
    dead = ~ticket.masks["conv.weight"].flatten(1).any(1)
    assert dead.any()
    with torch.no_grad():
        model.conv.bias[dead] += 7.0
        model.norm.bias[dead] -= 5.0
    assert torch.equal(model(blobs.normalise(blobs.x_test)), before)


@pytest.mark.parametrize("name", ["shuffle", "invert", "random"])
@pytest.mark.parametrize("granularity", ["2:4", "channel"])
def test_controls_keep_the_rule_and_the_layers_densities(name, granularity, blobs, conv_net):
    model = conv_net()
    ticket = find_ticket(model, blobs, "random", density=0.4, training=TRAINING, granularity=granularity)
    layout = Layout.of(model, maskable(model))
    layout = Layout(layout.names, layout.shapes, groups_of(granularity, model, layout, blobs))
    changed = control(name, ticket, 5, lambda seed: conv_net(seed).state_dict(), layout)
    mask = changed.flat_mask(layout)
    layout.groups.refuse(mask, ticket.kept)
    assert changed.layer_densities == ticket.layer_densities
    assert not torch.equal(mask, ticket.flat_mask(layout))
    if name == "invert" and granularity == "2:4":  # 2 of 4 pruned ones wherever there are four
        assert not (mask & ticket.flat_mask(layout))[54 : 54 + 24 * 12].any()
    with pytest.raises(ValueError, match="needs its layout"):
        control(name, ticket, 5, lambda seed: conv_net(seed).state_dict())


def test_a_play_with_its_control():
    settings = {"method": "random", "granularity": "channel", "epochs": 1, "density": 0.2}
    plain, shuffled = play(Play(**settings)), play(Play(**settings, control="shuffle"))
    assert plain.kept == shuffled.kept <= round(0.2 * plain.total)
    assert plain.inference_flops < 0.25 * plain.dense_inference_flops
    assert load("digits").n_classes == 10


def test_what_cannot_be_shared_out_is_refused(blobs, conv_net):
    with pytest.raises(ValueError, match="shared out globally"):
        find_ticket(
            conv_net(), blobs, "random", density=0.4, granularity="channel", options={"distribution": "erk"}
        )
    with pytest.raises(ValueError, match="edge-popup cannot prune by channel"):
        find_ticket(conv_net(), blobs, "edge-popup", granularity="channel")


def test_the_mask_of_a_unit_is_the_mask_of_a_group():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False)).double()
    x, first, last = torch.randn(20, 5).double(), model[0].weight.detach(), model[2].weight.detach()
    layout = Layout.of(model, maskable(model))
    alive = torch.arange(6) % 3 != 0
    kept = layout.segments(Channels(model, layout, x[:1]).expand(alive))
    masked = [w * m.view_as(w) for w, m in zip((first, last), kept, strict=True)]
    scores = torch.relu(x @ masked[0].T) @ masked[1].T
    # Each unit's incoming weights are a group: a ReLU unit is as active under a mask as without it.
    active = last[0][:, None] * (x @ first.T > 0)[:, :, None] * x[:, None, :]
    groups = torch.arange(6).repeat_interleave(5).numpy()
    problem = MaskProblem(
        active.flatten(1).numpy(), scores[:, 0].numpy(), first.flatten().numpy(), groups=groups
    )
    np.testing.assert_allclose(problem.predictor(alive.double().numpy()), scores[:, 0], atol=1e-12)
    assert scores.abs().max() > 0.0

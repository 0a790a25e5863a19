"""Find, rewind, retrain: exact densities, fixed by the seed, any network, any data."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nets
from concave_sparsity import MCP, Log
from nets.configuration import Training
from nets.methods import method
from nets.training.loop import Hook

SHORT = Training(epochs=2, batch_size=40, lr=0.05)
METHODS = ("concave", "l1", "imp", "random")
SMALL = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3))


def same_ticket(a, b):
    return all(torch.equal(m, b.masks[n]) for n, m in a.masks.items()) and all(
        torch.equal(w, b.weights[n]) for n, w in a.weights.items()
    )


@pytest.mark.parametrize("name", METHODS)
@given(density=st.floats(0.004, 1.0), seed=st.integers(0, 3))
@settings(max_examples=6)
def test_the_density_is_exact(blobs, name, density, seed):
    ticket = nets.find_ticket(
        SMALL,
        blobs,
        name,
        density=density,
        seed=seed,
        training=Training(epochs=1, batch_size=120, lr=0.05),
    )
    assert ticket.total == 64 * 9 + 9 * 3
    assert ticket.kept == round(density * ticket.total)


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_ticket_other_seed_another(blobs, conv_net, name):
    tickets = [
        nets.find_ticket(conv_net(), blobs, name, density=0.2, training=SHORT, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert same_ticket(tickets[0], tickets[1])
    assert not same_ticket(tickets[0], tickets[2])


@pytest.mark.parametrize("name", METHODS)
def test_a_density_is_searched_alike_alone_and_among_others(blobs, conv_net, name):
    alone = nets.find_ticket(conv_net(), blobs, name, density=0.1, training=SHORT)
    among = nets.find_tickets(conv_net(), blobs, name, densities=(0.05, 0.1, 0.5), training=SHORT)
    assert [t.kept for t in among] == [round(d * 378) for d in (0.05, 0.1, 0.5)]
    assert same_ticket(alone, among[1])
    assert alone.metadata["search_epochs"] == among[1].metadata["search_epochs"]


@pytest.mark.parametrize("name", METHODS)
def test_rewound_weights_are_the_initial_ones(blobs, conv_net, name):
    model = conv_net()
    ticket = nets.find_ticket(model, blobs, name, density=0.2, training=SHORT)
    assert all(torch.equal(w, model.state_dict()[n]) for n, w in ticket.weights.items())
    applied = ticket.apply(conv_net(seed=4)).state_dict()
    for n, w in model.state_dict().items():
        mask = ticket.masks.get(n, torch.ones_like(w, dtype=torch.bool))
        assert torch.equal(applied[n], torch.where(mask, w, 0))


@pytest.mark.parametrize("name", METHODS)
def test_late_rewinding_is_the_dense_network_at_that_step(blobs, conv_net, name):
    """All methods rewind to the same weights: the dense network after k steps of the first training."""
    seen = {}

    class Spy(Hook):
        def after_step(self, loop):
            if loop.step == 4:
                seen.setdefault("at 4", loop.flat.snapshot())

    nets.find_ticket(conv_net(), blobs, "imp", density=0.9, training=SHORT, hooks=[Spy()])
    ticket = nets.find_ticket(conv_net(), blobs, name, density=0.2, training=SHORT, rewind=4)
    assert all(torch.equal(w, seen["at 4"][n]) for n, w in ticket.weights.items())
    retrained = nets.retrain(ticket, conv_net(), blobs, training=SHORT)
    assert retrained.epochs == pytest.approx(2 - 4 / 6)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_pruned_weights_stay_zero_through_retraining(blobs, conv_net, name, optimiser):
    training = Training(epochs=2, batch_size=40, lr=0.01, optimiser=optimiser, weight_decay=0.01)
    ticket = nets.find_ticket(conv_net(), blobs, name, density=0.2, training=SHORT)
    steps = []

    class Watch(Hook):
        def after_step(self, loop):
            parameters = dict(loop.model.named_parameters())
            for n, mask in ticket.masks.items():
                assert (parameters[n].detach()[~mask] == 0).all()
            steps.append(loop.step)

    trained = nets.retrain(ticket, conv_net(), blobs, training=training, hooks=[Watch()])
    assert len(steps) == 12
    assert (
        sum(int((p != 0).sum()) for n, p in trained.model.named_parameters() if n in ticket.masks)
        <= ticket.kept
    )


def test_the_users_network_is_not_touched(blobs, conv_net):
    model = conv_net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    ticket = nets.find_ticket(model, blobs, density=0.2, training=SHORT)
    nets.retrain(ticket, model, blobs, training=SHORT)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_pairs_of_arrays_and_penalties_by_name_or_object():
    x, y = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32), np.arange(120) % 2
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    for penalty in (Log(0.02), MCP(2.0), "lq(0.5)"):
        ticket = nets.find_ticket(model, (x, y), "concave", penalty=penalty, density=0.25, epochs=2, seed=0)
        assert ticket.kept == 14
    by_name, by_object = (
        nets.find_ticket(model, (x, y), penalty=p, density=0.25, epochs=2) for p in ("mcp(2)", MCP(2.0))
    )
    assert same_ticket(by_name, by_object)


def test_patterns_choose_what_is_masked(blobs, conv_net):
    ticket = nets.find_ticket(
        conv_net(), blobs, "random", density=0.5, include=["hidden.*"], exclude=["*.bias"]
    )
    assert list(ticket.masks) == ["hidden.weight"]
    assert ticket.kept == 144


def test_a_play_is_one_row():
    play = nets.Play(method="concave", density=0.1, epochs=3, seed=1)
    result = nets.play(play)
    row = result.row()
    assert row["kept"] == round(0.1 * row["total"]) == 5020
    assert row["asked_density"] == 0.1
    assert row["density"] == row["kept"] / row["total"]
    assert result.search_epochs == method("concave").cost(0.1, 3, method("concave").settle({}))
    assert result.retrain_epochs == 3
    assert 0.3 < result.test_accuracy <= 1
    assert 0.5 < result.dense_test_accuracy <= 1
    assert result.report["cut_loss"] == pytest.approx(
        result.report["relaxed_accuracy"] - result.report["cut_accuracy"]
    )
    again = nets.play(play)
    assert (again.test_accuracy, again.report) == (result.test_accuracy, result.report)
    assert result.play == play


def test_the_dense_play_is_the_dense_network():
    result = nets.play(nets.Play(method="dense", epochs=2))
    assert result.density == 1.0
    assert result.search_epochs == 0
    assert result.test_accuracy == result.dense_test_accuracy


def test_imp_cuts_to_a_density_between_two_rounds_from_the_round_above(blobs, conv_net):
    ticket = nets.find_ticket(conv_net(), blobs, "imp", density=0.5, training=SHORT)
    assert ticket.metadata["report"]["rounds"] == 4  # 0.8**3 = 0.512 is trained, then cut to 0.5
    assert ticket.metadata["search_epochs"] == 8


def test_tickets_of_imp_are_nested(blobs, conv_net):
    large, small = nets.find_tickets(conv_net(), blobs, "imp", densities=(0.5, 0.1), training=SHORT)
    assert all((small.masks[n] <= large.masks[n]).all() for n in small.masks)


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        ({"method": "concav"}, r"unknown method 'concav' \(did you mean 'concave'\?\); the methods are"),
        ({"density": 0.0}, "density must be"),
        ({"density": 1e-9}, "keeps none of the 378 weights; ask for a larger one"),
        ({"options": {"speed": 1}}, "method concave has no option 'speed'; it takes"),
        ({"penalty": "lgo"}, "unknown penalty 'lgo'"),
        ({"rewind": 99, "training": SHORT}, "a training of 12 steps cannot be rewound to step 99"),
        ({"include": ["nothing"]}, "pattern 'nothing' matches no trained parameter"),
    ],
)
def test_errors(blobs, conv_net, settings_, sentence):
    with pytest.raises(ValueError, match=sentence):
        nets.find_ticket(conv_net(), blobs, **settings_)


@pytest.mark.parametrize("one", [0.5, {"*": 0.5}])
def test_one_density_in_place_of_several_is_refused(blobs, conv_net, one):
    for find in (partial(nets.find_tickets, conv_net(), blobs), nets.compare):
        with pytest.raises(ValueError, match=r"densities must be a sequence, such as \["):
            find(densities=one)


def test_diverging_scores_are_refused(blobs, conv_net):
    with pytest.raises((ValueError, RuntimeError), match=r"diverged|lower the learning rate"):
        nets.find_ticket(
            conv_net(), blobs, "imp", density=0.1, training=Training(epochs=1, batch_size=20, lr=1e30)
        )


def test_untrained_stands_for_a_network_trained_elsewhere():
    from nets.lottery import Untrained

    assert math.isnan(Untrained.test_score)


def test_a_method_that_finds_nothing_is_named():
    nothing = nets.methods.Method(
        name="nothing",
        summary="",
        reference="",
        find=lambda search: [],
        cost=lambda density, epochs, options: 0,
    )
    x = torch.randn(40, 6)
    with pytest.raises(
        ValueError, match=r"method nothing found no ticket of density 0\.2, 0\.5: its find must"
    ):
        nets.find_tickets(
            nn.Sequential(nn.Linear(6, 2)), (x, (x[:, 0] > 0).long()), nothing, densities=[0.2, 0.5]
        )


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match=r"no setting 'epoch' \(did you mean 'epochs'\?\)"):
        nets.find_ticket(None, "digits", epoch=3)
    with pytest.raises(ValueError, match="steps, batch go with a training of your own, train="):
        nets.find_ticket(None, "digits", steps=3, batch=(1, 2))
    with pytest.raises(TypeError, match=r"no setting 'granularity'; there are checkpoint"):
        nets.retrain(None, "lenet-300-100", "digits", granularity="2:4")

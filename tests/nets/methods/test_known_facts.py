"""What is known of single methods: closed forms, limits, and how they fail or do not fail at extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nets.configuration import Training
from nets.data import load
from nets.granularity.single_weights import layer_counts
from nets.lottery import find_ticket
from nets.masking.layout import Layout
from nets.masking.scored_mask import ScoredMask, straight_through
from nets.methods.gates import hard_concrete, open_probability, set_back, sigmoid_mask
from nets.methods.gates import test_gate as gate_without_noise
from nets.methods.reparametrized import balanced_factors
from nets.methods.supermasks import concrete
from nets.models import build


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_the_mask_of_continuous_sparsification_becomes_binary():
    scores = torch.linspace(-1, 1, 201, dtype=torch.float64)
    scores = scores[scores.abs() > 0.05]
    binary = (scores > 0).to(scores.dtype)
    distances = [(sigmoid_mask(scores, b, 1.0) - binary).abs().max().item() for b in (1, 10, 100, 1000)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-20
    # exponential from 1 to the final sharpness over the training
    torch.testing.assert_close(sigmoid_mask(scores, 100.0, 0.5), torch.sigmoid(10 * scores))


def test_rounds_of_continuous_sparsification_keep_what_is_out_out():
    scores = torch.tensor([-0.4, -0.01, 0.001, 0.3])
    torch.testing.assert_close(set_back(scores, 200.0, 0.1), torch.tensor([-80.0, -2.0, 0.1, 0.1]))
    options = {"rounds": 2, "start": 0.1}

    def found(**changes):
        training = Training(epochs=6, batch_size=64)
        return find_ticket(
            "lenet-300-100",
            "digits",
            "continuous-sparsification",
            density=0.04,
            training=training,
            options=options | changes,
        )

    ticket, once = found(), found(rounds=1)
    assert ticket.kept == round(0.04 * ticket.total)
    assert ticket.metadata["search_epochs"] == 12
    assert once.metadata["search_epochs"] == 6
    steps, wanted, mean = (ticket.trace[name] for name in ("step", "target", "mean"))
    assert steps == sorted(steps)
    half = len(steps) // 2
    assert wanted[half - 1] == pytest.approx(0.2)  # the root of 0.04
    assert 0.15 < wanted[half] <= 0.2
    assert wanted[-1] == pytest.approx(0.04)
    assert mean[half] < 0.25  # what the first round left out stays out
    assert all(torch.equal(ticket.weights[name], once.weights[name]) for name in once.weights)
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        found(rounds=0)


@pytest.mark.parametrize("score", [-3.0, -1.0, 0.0, 1.5])
def test_hard_concrete_gates_open_as_often_as_the_formula_says(score):
    n = 200_000
    scores = torch.full((n,), score, dtype=torch.float64)
    gates = hard_concrete(scores, torch.Generator().manual_seed(0))
    frequency = (gates > 0).double().mean().item()
    p = open_probability(scores[:1]).item()
    assert frequency == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n))
    assert gates.min() >= 0
    assert gates.max() <= 1
    assert (gates == 0).any()
    assert (gates == 1).any()


def test_gates_without_noise_are_monotone_and_reach_both_ends():
    gates = gate_without_noise(torch.linspace(-6, 6, 101, dtype=torch.float64))
    assert (gates.diff() >= 0).all()
    assert gates[0] == 0
    assert gates[-1] == 1
    assert gates[50] == pytest.approx(0.5)


def test_concrete_variables_have_the_odds_of_their_scores():
    n = 100_000
    drawn = concrete(torch.full((n,), 1.2, dtype=torch.float64), 2 / 3, torch.Generator().manual_seed(0))
    p = 1 / (1 + math.exp(-1.2))
    assert (drawn > 0.5).double().mean().item() == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(1e-6, 1e3))
@settings(max_examples=200)
def test_pilot_starts_at_the_weights_with_the_gap_asked_for(values, gap):
    product = torch.tensor(values, dtype=torch.float64)
    mask, weight = balanced_factors(product, gap)
    torch.testing.assert_close(mask * weight, product, rtol=1e-9, atol=1e-9)
    assert (mask > 0).all()
    # cancellation in the difference of squares leaves the accuracy of the larger one
    scale = float(mask.square().max())
    torch.testing.assert_close(
        mask.square() - weight.square(), torch.full_like(product, 2 * gap), rtol=1e-6, atol=1e-12 * scale
    )


def test_straight_through_has_the_value_of_one_and_the_slope_of_the_other():
    soft = torch.tensor([0.2, 0.9], requires_grad=True)
    hard = torch.tensor([0.0, 1.0])
    out = straight_through(hard, soft * 3)
    assert torch.equal(out.detach(), hard)
    out.sum().backward()
    assert torch.equal(soft.grad, torch.tensor([3.0, 3.0]))


class Deep(nn.Sequential):
    """Eight narrow layers behind a wide one: what global magnitudes prune to death."""

    def __init__(self):
        layers = [nn.Flatten(), nn.Linear(64, 200, bias=False), nn.ReLU()]
        before = 200
        for _ in range(6):
            layers += [nn.Linear(before, 100, bias=False), nn.ReLU()]
            before = 100
        layers.append(nn.Linear(100, 10, bias=False))
        super().__init__(*layers)
        for i, module in enumerate(self):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=(0.02 if i == 3 else 0.1))


def deep():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Deep()


def test_synflow_keeps_paths_where_magnitudes_need_the_floor_of_a_layer(digits):
    density = 0.002
    training = Training(epochs=1, batch_size=64, lr=0.01)
    ticket = find_ticket(deep(), digits, "synflow", density=density, training=training)
    alive = ticket.apply(deep())
    assert all(int(mask.sum()) > 0 for mask in ticket.masks.values())
    with torch.no_grad():
        for p in alive.parameters():
            p.abs_()
        assert alive(torch.ones(1, 64)).sum() > 0, "no path from input to output is left"
    spared = find_ticket(deep(), digits, "magnitude", density=density, training=training)
    assert spared.kept == ticket.kept
    assert min(int(mask.sum()) for mask in spared.masks.values()) == 1, "magnitudes alone would empty a layer"


@pytest.mark.parametrize("distribution", ["uniform", "erk"])
@given(st.integers(1, 400), st.data())
@settings(max_examples=100)
def test_no_layer_is_emptied_where_there_are_weights_for_all(distribution, count, data):
    """1 x 1 shortcuts all pruned, and a density missed by ERK, are known faults of reference code."""
    shapes = ((16, 3, 3, 3), (2, 1, 1, 1), (64, 32, 3, 3), (3, 2, 1, 1), (10, 64))
    layout = Layout(tuple("abcde"), shapes)
    counts = layer_counts(layout.shapes, count, distribution)
    assert sum(counts) == count
    assert all(0 <= kept <= size for kept, size in zip(counts, layout.sizes))
    assert min(counts) >= (1 if count >= len(shapes) else 0)


def test_shortcuts_of_resnet_18_survive_at_a_thousandth():
    model = build("resnet-18", (3, 32, 32), 10)
    layout = Layout.of(model, [n for n, p in model.named_parameters() if p.dim() > 1])
    counts = dict(zip(layout.names, layer_counts(layout.shapes, round(0.001 * layout.total), "erk")))
    assert all(kept > 0 for kept in counts.values())


def trained(name, digits, density, **options):
    training = Training(epochs=20, batch_size=64, lr=0.1)
    return find_ticket("lenet-300-100", digits, name, density=density, training=training, options=options)


@pytest.mark.parametrize("density", [0.05, 0.01])
@pytest.mark.parametrize(
    ("name", "cut_loss"), [("pilot", 0.0), ("l0", 0.08), ("continuous-sparsification", 0.1)]
)
def test_relaxed_networks_do_not_collapse_on_the_way_to_the_density(name, cut_loss, density, digits):
    """Steering that runs away kills the network before the cut: accuracy 0.1 on ten classes."""
    report = trained(name, digits, density).metadata["report"]
    assert report["relaxed_accuracy"] > 0.85
    assert report["cut_loss"] <= cut_loss


def test_gem_miner_lands_on_the_count_by_itself(digits):
    report = trained("gem-miner", digits, 0.1).metadata["report"]
    assert report["cut_loss"] == 0.0
    assert report["mean_mask"] == pytest.approx(0.1, abs=1e-4)
    assert report["relaxed_accuracy"] > 0.5


def test_as_many_gates_are_open_as_are_wanted(digits):
    """Gates that have closed do not open again, so a price that falls slowly closes too many."""
    trace = trained("l0", digits, 0.1).trace
    assert trace["mean"][-1] == pytest.approx(0.1, rel=0.25)


def test_gradient_balancing_holds_the_keep_probability(digits):
    trace = trained("concrete-ticket", digits, 0.1).trace
    assert trace["mean"][0] == pytest.approx(0.1, rel=0.05)
    assert trace["mean"][-1] == pytest.approx(0.11, rel=0.15)


def test_lam_can_be_given_instead_of_the_density(digits):
    weak = trained("continuous-sparsification", digits, 0.05, lam=1e-7).metadata["report"]
    strong = trained("continuous-sparsification", digits, 0.05, lam=1e-3).metadata["report"]
    assert weak["lam"] == 1e-7
    assert strong["mean_mask"] < 0.5 * weak["mean_mask"]


def test_frozen_weights_must_not_decay():
    mask = ScoredMask(torch.zeros(3), lambda s, _: s, lr=0.1, freeze=True)

    class Decaying:
        decays_frozen = 0.1

    with pytest.raises(ValueError, match="must not decay"):
        mask.start(Decaying())
    with pytest.raises(ValueError, match="learning rate of the scores must be positive"):
        ScoredMask(torch.zeros(3), lambda s, _: s, lr=0.0)

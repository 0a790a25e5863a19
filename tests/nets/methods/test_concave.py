"""Every form of the concave method: exact counts, zeros that stay, rounds, a given lam, and determinism."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from users_own import UsersOwn

from concave_sparsity import L1, MCP, SCAD, CappedL1, Exponential, Log, Lq
from nets.configuration import Play, Training
from nets.lottery import find_ticket, find_tickets, play, retrain
from nets.masking.laws import DualAscent, Given, Sigmoid
from nets.masking.relaxed_mask import RelaxedMask
from nets.masking.trained_mask import GradientUpdate, ProximalUpdate, TrainedMask
from nets.methods import method
from nets.methods.concave import OPTIONS, PRESETS, relaxed_mask, with_preset
from nets.runs.canonical import address, settled
from nets.training.loop import Hook

TRAINING = Training(epochs=2, batch_size=60, lr=0.05, weight_decay=1e-3)


PENALTIES = [L1(), Log(0.1), Lq(0.5), MCP(1.0), SCAD(3.7, 0.2), CappedL1(0.5), Exponential(0.1), UsersOwn()]
FORMS = {
    "curvature": {},
    "curvature, warm-up": {"warm_up": 0.2},
    "curvature, rounds": {"rounds": 2},
    "gradient": {"update": "gradient"},
    "gradient, rounds": {"update": "gradient", "rounds": 2},
    "proximal": {"update": "proximal"},
    "proximal, adam": {"update": "proximal", "optimiser": "adam"},
    "proximal, dual ascent": {"update": "proximal", "law": "dual-ascent"},
    "sigmoid": {"relaxation": "sigmoid"},
    "epoch": {"update": "gradient", "reweight": "epoch", "optimiser": "sgd"},
    "alternating": {"update": "gradient", "trained": "alternating", "period": 2},
    "mask alone": {"update": "proximal", "trained": "mask"},
}


def find(blobs, net, form="curvature", density=0.2, penalty=None, **changes):
    options = {"interval": 2} | FORMS.get(form, {}) | changes.pop("options", {})
    given = {"training": TRAINING, "penalty": penalty or Log(0.1), "seed": 3, "options": options}
    return find_ticket(net, blobs, density=density, **(given | changes))


@pytest.mark.parametrize("form", FORMS)
@given(density=st.floats(0.01, 1.0), penalty=st.sampled_from(PENALTIES[:-1]), rewind=st.integers(0, 1))
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only builds
def test_counts_are_exact_for_every_penalty(blobs, conv_net, form, density, penalty, rewind):
    ticket = find(blobs, conv_net(), form, density, penalty, rewind=rewind)
    assert ticket.kept == max(1, round(density * ticket.total))
    report = ticket.metadata["report"]
    assert report["cut_loss"] == pytest.approx(report["relaxed_accuracy"] - report["cut_accuracy"])
    assert 0 <= report["relaxed_density"] <= 1
    assert 0 <= report["mean_mask"] <= 1
    assert report["lam"] >= 0
    assert all(torch.isfinite(torch.tensor(list(curve))).all() for curve in ticket.trace.values())


@pytest.mark.parametrize("form", ["curvature", "gradient", "proximal", "sigmoid"])
def test_a_users_own_penalty(blobs, conv_net, form):
    training = Training(epochs=1, batch_size=120, lr=0.05)
    assert find(blobs, conv_net(), form, penalty=UsersOwn(), training=training).kept == round(0.2 * 378) - 0


@pytest.mark.parametrize("form", FORMS)
def test_the_same_to_the_bit_and_pruned_weights_are_zero(blobs, conv_net, form):
    one, other = find(blobs, conv_net(), form), find(blobs, conv_net(), form)
    assert all(torch.equal(one.masks[key], other.masks[key]) for key in one.masks)
    assert one.metadata == other.metadata
    assert {k: list(v) for k, v in one.trace.items()} == {k: list(v) for k, v in other.trace.items()}
    trained = retrain(one, conv_net(), blobs, training=TRAINING)
    weights = dict(trained.model.named_parameters())
    assert not any(weights[name][~mask].any() for name, mask in one.masks.items())


class Survivors(Hook):
    """Keep the effective weights at the end of every training."""

    watches_only = True

    def __init__(self):
        self.kept = []

    def finish(self, loop):
        self.kept.append(loop.flat.effective != 0)


@pytest.mark.parametrize("update", ["curvature", "proximal"])
def test_rounds_go_down_through_ever_sparser_networks(blobs, conv_net, update):
    watch = Survivors()
    ticket = find(blobs, conv_net(), density=0.05, options={"rounds": 3, "update": update}, hooks=[watch])
    assert ticket.metadata["report"]["rounds"] == 3
    assert ticket.metadata["search_epochs"] == 3 * TRAINING.epochs
    assert len(watch.kept) == 3
    for k, (before, after) in enumerate(zip(watch.kept, watch.kept[1:]), 1):
        outside = int((after & ~before).sum())
        assert int(after.sum()) <= round(0.05 ** (k / 3) * ticket.total)
        assert outside <= 0.35 * ticket.total  # an entry at zero may survive the cut of a slow mask
    steps = ticket.trace["step"]
    assert steps == sorted(steps)
    assert steps[-1] == 3 * TRAINING.epochs * 4
    assert method("concave").cost(0.05, 2.0, {"rounds": 3}) == 6.0


def test_each_of_several_rounds_waits_until_its_weights_have_been_trained(blobs, conv_net):
    training = Training(epochs=5, batch_size=60)
    given = {"density": 0.1, "training": training}
    ticket = find(blobs, conv_net(), options={"rounds": 2, "interval": 1}, **given)
    targets, steps = ticket.trace["target"], ticket.trace["step"]
    each = steps[-1] // 2
    for start, origin in ((0, 1.0), (each, 0.1**0.5)):
        waiting = [t for t, s in zip(targets, steps) if start < s <= start + each // 2]
        assert waiting == pytest.approx([origin] * len(waiting), abs=1 / ticket.total)
    at_once = [
        find(blobs, conv_net(), options=options | {"interval": 1}, **given).trace["target"][0]
        for options in ({}, {"rounds": 2, "warm_up_in_rounds": 0.0}, {"rounds": 2, "update": "proximal"})
    ]
    assert max(at_once) < 1.0


def test_rounds_must_wait_less_than_their_descent(blobs, conv_net):
    words = "warm_up_in_rounds must be at least 0 and less than descent, 0.8, got 0.8"
    with pytest.raises(ValueError, match=words):
        find(blobs, conv_net(), options={"rounds": 2, "warm_up_in_rounds": 0.8})


def test_rounds_start_from_the_rewound_weights(blobs, conv_net):
    ticket = find(blobs, conv_net(), options={"rounds": 2}, rewind=2)
    # the first round, the two steps to the rewinding point, and the second round from there
    assert ticket.metadata["search_epochs"] == 2 + 2 / 4 + 2 - 2 / 4


@pytest.mark.parametrize("penalty", [Log(0.1), L1(), Lq(0.5)], ids=lambda p: p.name)
@pytest.mark.parametrize("update", ["auto", "curvature", "gradient"])
def test_the_density_follows_a_given_lam(blobs, conv_net, penalty, update):
    densities = []
    for lam in (1e-6, 1e-3):
        ticket = find(blobs, conv_net(), penalty=penalty, options={"lam": lam, "update": update})
        report = ticket.metadata["report"]
        assert ticket.density == pytest.approx(report["relaxed_density"])
        assert report["lam"] == pytest.approx(lam)
        assert "target" not in ticket.trace
        densities.append(ticket.density)
    assert densities[1] < densities[0]


def test_the_threshold_decides_where_lam_is_given(blobs, conv_net):
    kept = [
        find(blobs, conv_net(), penalty=L1(), options={"lam": 2e-4, "threshold": t}).kept
        for t in (0.0, 0.5, 0.9)
    ]
    assert kept[0] > kept[1] > kept[2]


def test_a_lam_that_leaves_nothing(blobs, conv_net):
    with pytest.raises(ValueError, match=r"lam=1000 leaves no mask entry above 0.5: give a smaller one"):
        find(blobs, conv_net(), options={"lam": 1000.0})


def test_densities_asked_for_do_not_matter_where_lam_is_given(blobs, conv_net):
    options = {"lam": 2e-4, "interval": 2}
    one, other = find_tickets(
        conv_net(), blobs, densities=(0.5, 0.1), training=TRAINING, seed=3, options=options
    )
    assert one is other
    assert one.metadata["density_follows"]
    asked = [Play(density=d, options={"lam": 1e-2}) for d in (0.5, 0.1)]
    assert settled(asked[0]) == settled(asked[1])
    assert len({address(p) for p in asked}) == 1
    assert len({address(Play(density=d)) for d in (0.5, 0.1)}) == 2


def test_the_row_of_a_given_lam_tells_the_density_reached():
    result = play(Play(epochs=1, options={"lam": 1e-4}))
    assert result.row()["asked_density"] == result.density == result.kept / result.total
    assert result.report["density_follows"]


def test_rounds_must_be_at_least_one(blobs, conv_net):
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        find(blobs, conv_net(), options={"rounds": 0})


@pytest.mark.parametrize("form", ["curvature, rounds", "gradient", "proximal", "sigmoid"])
def test_n_of_m_in_every_form(blobs, conv_net, form):
    ticket = find(blobs, conv_net(), form, granularity="2:4")
    rows = ticket.masks["hidden.weight"].reshape(-1, 4)
    assert (rows.sum(1) == 2).all()


def test_n_of_m_fixes_the_density(blobs, conv_net):
    with pytest.raises(ValueError, match=r"granularity 2:4 fixes the density: leave lam=0.01 out"):
        find(blobs, conv_net(), granularity="2:4", options={"lam": 0.01})


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_finds_the_ticket_of_its_options(blobs, conv_net, preset):
    lam = {"lam": 1e-7} if preset == "paper" else {}
    named = find(blobs, conv_net(), options={"preset": preset, **lam})
    spelled = find(blobs, conv_net(), options=PRESETS[preset] | lam)
    assert all(torch.equal(named.masks[name], spelled.masks[name]) for name in named.masks)
    assert named.metadata["search_epochs"] == spelled.metadata["search_epochs"] == 3 * TRAINING.epochs
    assert named.metadata.get("density_follows") == (True if preset == "paper" else None)
    options = method("concave").settle({"preset": preset})
    assert method("concave").density_follows(options) == (preset == "paper")
    assert method("concave").cost(0.2, 2.0, options) == 6.0


DEFAULTS = {option.name: option.default for option in OPTIONS}


def made(**options):
    return relaxed_mask(DEFAULTS | options, Log(0.1), 0.1)


def test_the_default_is_the_metric_of_the_curvature():
    assert isinstance(made(), RelaxedMask)
    assert isinstance(made(update="curvature", lam=0.1), RelaxedMask)


def test_parts_follow_the_options():
    assert isinstance(made(lam=0.1).update, ProximalUpdate)
    assert isinstance(made(lam=0.1).law, Given)
    assert isinstance(made(relaxation="sigmoid").relaxation, Sigmoid)
    assert type(made(relaxation="sigmoid").update) is GradientUpdate
    assert isinstance(made(update="gradient", law="dual-ascent").law, DualAscent)
    assert isinstance(made(update="gradient"), TrainedMask)
    assert made(update="gradient", reweight="epoch").slopes.refresh == "epoch"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"update": "newton"}, "update must be one of auto, curvature, gradient, proximal, got 'newton'"),
        ({"relaxation": "tanh"}, "relaxation must be one of clipped, sigmoid, got 'tanh'"),
        ({"relaxation": "sigmoid", "update": "proximal"}, "a sigmoid is trained by gradients"),
        ({"law": "pid", "update": "gradient"}, "law must be one of quantile, dual-ascent, got 'pid'"),
        ({"reweight": "epoch", "update": "proximal"}, "option reweight=epoch belongs to update=gradient"),
        ({"step": 3.0}, "option step belongs to the updates gradient and proximal, got 3.0 with curvature"),
        ({"trained": "mask"}, "option trained belongs to the updates gradient and proximal"),
        ({"optimiser": "lion", "update": "gradient"}, "optimiser must be one of sgd, momentum, adam"),
    ],
)
def test_what_does_not_go_together(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        made(**options)


def test_a_preset_fills_what_is_at_its_default():
    paper = with_preset(DEFAULTS | {"preset": "paper"})
    assert {name: paper[name] for name in PRESETS["paper"]} == PRESETS["paper"]
    own = with_preset(DEFAULTS | {"preset": "paper", "lam": 1e-3, "rounds": 2})
    assert (own["lam"], own["rounds"], own["update"]) == (1e-3, 2, "gradient")
    assert with_preset(own) == own
    assert with_preset(DEFAULTS) == DEFAULTS


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset must be one of paper, paper-steered, got 'thesis'"):
        with_preset(DEFAULTS | {"preset": "thesis"})

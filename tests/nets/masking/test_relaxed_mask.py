"""The relaxed mask: its map is the penalty's prox, lam lands where the target says, and it resumes."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from users_own import UsersOwn

import nets
from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from nets.configuration import Training
from nets.masking.relaxed_mask import PARTS, POINTS, RelaxedMask, critical_step, look_up, proximal_table
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop

PENALTIES = [
    L1(), Log(0.02), Log(1.0), Lq(0.5), MCP(1.0), MCP(3.0), SCAD(3.7, 0.2),
    CappedL1(0.5), Exponential(0.1), Arctan(0.3), Fraction(0.1),
]  # fmt: skip
TRAINING = Training(epochs=4, batch_size=30, lr=0.05, weight_decay=5e-4)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_critical_step_separates_what_stays_from_what_falls(penalty):
    c = critical_step(penalty)
    assert penalty.prox(1.0, c * 0.999, lower=0.0, upper=1.0) > 0.5
    assert penalty.prox(1.0, c * 1.001, lower=0.0, upper=1.0) <= 0.5
    if penalty == L1():
        assert c == pytest.approx(0.5)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_table_is_a_rising_mask_in_the_box(penalty):
    table = proximal_table(penalty, critical_step(penalty))
    assert table.min() >= 0
    assert table.max() <= 1
    assert (table.diff() >= -1e-9).all()
    assert (table[: POINTS // 2] <= 0.5).all()
    assert (table[POINTS // 2 :] > 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_table_cuts_every_octave_into_equal_parts(dtype):
    ratio = torch.tensor(
        [1.0, 1 + 0.5 / PARTS, 1 + 1 / PARTS, 1 + 1.5 / PARTS, 2.0, 0.75, 0.0, 1e30], dtype=dtype
    )
    middle = POINTS // 2
    expected = [
        middle - 1,
        middle,
        middle,
        middle + 1,
        middle + PARTS - 1,
        middle - PARTS // 2 - 1,
        0,
        POINTS - 1,
    ]
    places = torch.arange(POINTS, dtype=dtype)
    out = torch.empty(len(expected), dtype=dtype)
    look_up(places, ratio.clone(), out)
    assert out.tolist() == expected
    generic = torch.empty(len(expected), dtype=torch.int64)  # as on a GPU
    look_up(places.to(torch.int64), ratio.clone(), generic)
    assert generic.tolist() == expected
    look_up(places, torch.tensor([float("nan")], dtype=dtype), out[:1])
    assert 0 <= out[0] < POINTS


def loop_of(blobs, conv_net, hook, training=TRAINING, seed=0):
    return Loop(FlatModel(conv_net()), blobs, training, seed=seed, hooks=[hook])


@pytest.mark.parametrize("penalty", [*PENALTIES, UsersOwn()], ids=repr)
def test_the_mask_is_the_prox_of_its_curvature_and_the_target_share_stays(blobs, conv_net, penalty):
    hook = RelaxedMask(penalty, 0.1)
    loop = loop_of(blobs, conv_net, hook)
    hook.start(loop)
    n = loop.flat.n
    loop.step = loop.steps
    h = torch.rand(n, generator=torch.Generator().manual_seed(0)) ** 6 + 1e-5
    hook.squares = (h / loop.flat.weights.square()).square()
    h = hook.curvature(loop)
    hook.update(loop)
    assert int((hook.mask > 0.5).sum()) == n - round(0.9 * n)
    lam = torch.tensor(hook.trace["lam"][-1], dtype=torch.float64)
    bin_width = 1 + 1 / PARTS
    for factor, sign in ((bin_width, 1), (1 / bin_width, -1)):  # the table brackets the exact prox
        exact = penalty.prox(
            torch.ones(n, dtype=torch.float64), lam / h.double() / factor, lower=0.0, upper=1.0
        )
        assert (sign * (exact - hook.mask.double()) >= -1e-5).all()


def test_gradients_are_those_of_the_product(blobs, conv_net):
    """The mask folded into the flat vector against autograd through the product, for all parameters."""
    model = conv_net().eval()
    hook = RelaxedMask(Log(0.02), 0.1)
    in_calls = replace(TRAINING, momentum=0.0)  # nets.masking.masked_step has its own test
    loop = Loop(FlatModel(model), blobs, in_calls, seed=0, hooks=[hook])
    hook.start(loop)
    hook.mask = torch.rand(loop.flat.n, generator=torch.Generator().manual_seed(1))
    hook.start(loop)
    flat, (x, y) = loop.flat, blobs.part("validation")
    functional.cross_entropy(model(x), y).backward()
    seen = flat.gradients.clone()
    hook.after_backward(loop)
    theta = flat.weights.clone().requires_grad_()
    parts = flat.layout.split(theta * hook.mask)
    loss = functional.cross_entropy(torch.func.functional_call(model, parts, (x,)), y)
    (wanted,) = torch.autograd.grad(loss, theta)
    torch.testing.assert_close(flat.gradients, wanted, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(hook.squares, seen**2)


def test_the_mask_follows_the_density_and_the_concave_one_is_binary(blobs, conv_net):
    between = {}
    for penalty in (Log(0.02), L1()):
        hook = RelaxedMask(penalty, 0.1, interval=3)
        loop_of(blobs, conv_net, hook).run()
        trace = hook.trace
        assert trace["target"][-1] == pytest.approx(0.1)
        assert trace["above_half"][-1] == pytest.approx(0.1, abs=0.02)
        assert len({len(curve) for curve in trace.values()}) == 1
        assert min(trace["lam"]) > 0
        between[penalty.name] = float(((hook.mask > 0.01) & (hook.mask < 0.85)).float().mean())
    assert between["log"] < 0.01 < between["l1"]


def test_scaling_the_loss_changes_nothing_but_lam(blobs, conv_net):
    masks = []
    for scale in (1.0, 1024.0):
        hook = RelaxedMask(Log(0.02), 0.1)
        loop = loop_of(blobs, conv_net, hook)
        hook.start(loop)
        loop.step = loop.steps // 2
        hook.squares = torch.rand(loop.flat.n, generator=torch.Generator().manual_seed(0)) * scale**2
        hook.update(loop)
        masks.append(hook.mask.clone())
    assert torch.equal(*masks)


def test_dead_entries_and_nan_do_no_harm(blobs, conv_net):
    hook = RelaxedMask(Log(0.02), 0.1)
    loop = loop_of(blobs, conv_net, hook)
    hook.start(loop)
    loop.step = loop.steps
    hook.update(loop)  # no gradient was ever seen
    assert int((hook.mask != 0).sum()) <= len(loop.flat.layout.names)  # one a layer at most is kept
    hook.squares[:] = float("nan")
    hook.update(loop)
    assert torch.isfinite(hook.mask).all()


def test_an_entry_comes_back_when_it_is_needed(blobs, conv_net):
    hook = RelaxedMask(Log(0.02), 0.5)
    loop = loop_of(blobs, conv_net, hook)
    hook.start(loop)
    loop.step = loop.steps
    hook.squares = torch.rand(loop.flat.n)
    hook.update(loop)
    gone = hook.mask < 0.5
    hook.squares = torch.where(gone, 1e6, 1e-6)
    hook.update(loop)
    assert (hook.mask[gone] > 0.5).float().mean() > 0.9


@pytest.mark.parametrize("stop", [5, 16, 30])
def test_resumes_to_the_bit(blobs, conv_net, stop):
    whole = RelaxedMask(Log(0.02), 0.1, interval=4)
    loop = loop_of(blobs, conv_net, whole).run()
    half = loop_of(blobs, conv_net, RelaxedMask(Log(0.02), 0.1, interval=4)).run(until=stop)
    again = RelaxedMask(Log(0.02), 0.1, interval=4)
    resumed = loop_of(blobs, conv_net, again)
    resumed.load_state_dict(half.state_dict())
    resumed.run()
    assert torch.equal(again.mask, whole.mask)
    assert torch.equal(resumed.flat.weights, loop.flat.weights)
    assert torch.equal(resumed.flat.effective, loop.flat.effective)
    assert again.trace == whole.trace


def test_the_cut_of_a_search_is_reported(blobs, conv_net):
    ticket = nets.find_ticket(conv_net(), blobs, density=0.2, training=TRAINING)
    report = ticket.metadata["report"]
    assert report["cut_loss"] == pytest.approx(report["relaxed_accuracy"] - report["cut_accuracy"])
    assert report["mean_mask"] == pytest.approx(0.2, abs=0.05)
    assert set(ticket.trace) == {"step", "target", "lam", "mean", "above_half", "entries"}
    assert sum(ticket.trace["entries"]) == ticket.total


@pytest.mark.parametrize("bad", [{"descent": 0.0}, {"descent": 1.1}, {"interval": 0}, {"memory": 0.0}])
def test_bad_settings(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
        RelaxedMask(L1(), 0.1, **bad)

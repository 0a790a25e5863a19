"""The one training loop: what it computes, that a seed fixes it to the bit, that it resumes to the bit."""

import math

import pytest
import torch
from torch.nn import functional

from nets.configuration import Training
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop, TrainingDiverged

FAST = Training(epochs=3, batch_size=32, lr=0.05, weight_decay=1e-3)


def trained(model, data, training=FAST, seed=0, hooks=(), **settings):
    flat = FlatModel(model)
    return Loop(flat, data, training, seed=seed, hooks=hooks, **settings).run()


def same(a, b):
    return all(torch.equal(v, b[k]) for k, v in a.items())


@pytest.mark.parametrize(
    "training",
    [
        FAST,
        Training(epochs=2, batch_size=32, lr=0.05, nesterov=True, weight_decay=1e-2, schedule="step"),
        Training(epochs=2, batch_size=32, lr=0.01, optimiser="adam", weight_decay=1e-2, schedule="cosine"),
        Training(epochs=2, batch_size=32, lr=0.01, optimiser="adamw", schedule="constant", warm_up=1.0),
    ],
    ids=["momentum", "nesterov", "adam", "adamw"],
)
def test_agrees_with_a_plain_torch_loop(blobs, conv_net, training):
    """The flat, fused loop against the loop everybody writes, parameter by parameter."""
    model, plain = conv_net(), conv_net()
    model.drop.p = plain.drop.p = 0.0
    seen = []

    class Spy(Hook):
        def before_step(self, loop):
            seen.append(loop.optimiser.param_groups[0]["lr"])

    loop = trained(model, blobs, training, hooks=[Spy()])
    kinds = {
        "sgd": lambda p: torch.optim.SGD(
            p, lr=1.0, momentum=0.9, nesterov=training.nesterov, weight_decay=training.weight_decay
        ),
        "adam": lambda p: torch.optim.Adam(p, lr=1.0, weight_decay=training.weight_decay),
        "adamw": lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=training.weight_decay),
    }
    optimiser = kinds[training.optimiser](plain.parameters())
    again = Loop(FlatModel(conv_net()), blobs, training, seed=0)
    plain.train()
    for step in range(loop.steps):
        again.step = step
        x, y = next(iter(again.batches()))
        optimiser.param_groups[0]["lr"] = seen[step]
        optimiser.zero_grad()
        functional.cross_entropy(plain(x), y).backward()
        optimiser.step()
    for name, value in model.state_dict().items():
        if name not in (
            "conv.bias",
            "norm.running_mean",
        ):  # batch norm undoes the bias: Adam steps on rounding
            torch.testing.assert_close(value, plain.state_dict()[name], rtol=2e-3, atol=2e-4)


def test_it_learns(blobs, conv_net):
    loop = trained(conv_net(), blobs, Training(epochs=10, batch_size=32, lr=0.05))
    assert loop.metrics[-1]["validation_accuracy"] >= 0.9
    assert [m["epoch"] for m in loop.metrics] == list(range(1, 11))
    assert loop.steps_per_epoch == 7  # 240 samples: the incomplete batch is left out
    assert loop.seconds > 0


def test_a_seed_fixes_everything_and_the_global_generator_is_left_alone(blobs, conv_net):
    first, second, other = (conv_net() for _ in range(3))
    torch.manual_seed(1)
    trained(first, blobs)
    before = torch.get_rng_state()
    trained(second, blobs)
    assert torch.equal(torch.get_rng_state(), before)
    trained(other, blobs, seed=1)
    assert same(first.state_dict(), second.state_dict())
    assert not same(first.state_dict(), other.state_dict())


def test_every_epoch_has_an_order_of_its_own(blobs, conv_net):
    loop = Loop(FlatModel(conv_net()), blobs, FAST, seed=0)
    orders = []
    for epoch in range(2):
        loop.step = epoch * loop.steps_per_epoch
        orders.append(torch.cat([y for _, y in loop.batches()]))
    assert not torch.equal(orders[0], orders[1])


@pytest.mark.parametrize("stop", [1, 6, 7, 13, 20])
def test_resumes_to_the_bit(blobs, conv_net, stop):
    """Stopped in an epoch, at its last step, and before the end; dropout and batch norm included."""
    whole = conv_net()
    wanted = trained(whole, blobs)
    half = Loop(FlatModel(conv_net()), blobs, FAST, seed=0)
    half.run(until=stop)
    resumed = conv_net(seed=5)
    loop = Loop(FlatModel(resumed), blobs, FAST, seed=0)
    loop.load_state_dict(half.state_dict())
    loop.run()
    assert same(whole.state_dict(), resumed.state_dict())
    assert loop.metrics == wanted.metrics


def test_a_state_taken_after_the_last_step_of_an_epoch_still_ends_it(blobs, conv_net):
    states = []

    class Keep(Hook):
        watches_only = True

        def after_step(self, loop):
            if loop.step == loop.steps_per_epoch:
                states.append(loop.state_dict())

    whole = conv_net()
    wanted = trained(whole, blobs, hooks=[Keep()])
    resumed = conv_net(seed=5)
    loop = Loop(FlatModel(resumed), blobs, FAST, seed=0)
    loop.load_state_dict(states[0])
    loop.run()
    assert loop.metrics == wanted.metrics
    assert same(whole.state_dict(), resumed.state_dict())


def test_hooks_are_called_in_order_with_gradients_at_hand(blobs, conv_net):
    calls = []

    class Spy(Hook):
        def start(self, loop):
            calls.append("start")

        def before_step(self, loop):
            assert loop.flat.gradients_of_all.abs().sum() == 0
            calls.append("before")

        def after_backward(self, loop):
            assert loop.flat.gradients.abs().sum() > 0
            calls.append("backward")

        def after_step(self, loop):
            calls.append("after")

        def end_epoch(self, loop):
            calls.append("epoch")
            return {"mine": 3.0}

        def finish(self, loop):
            calls.append("finish")

    loop = trained(conv_net(), blobs, Training(epochs=1, batch_size=120), hooks=[Spy()])
    step = ["before", "backward", "after"]
    assert calls == ["start", *step, *step, "epoch", "finish"]
    assert loop.metrics[0]["mine"] == 3.0


def test_a_late_start_meets_the_same_batches_and_rates(blobs, conv_net):
    seen = {}

    class Spy(Hook):
        def __init__(self, name):
            self.name = name

        def after_backward(self, loop):
            seen.setdefault(self.name, []).append((loop.step, loop.optimiser.param_groups[0]["lr"]))

    trained(conv_net(), blobs, hooks=[Spy("whole")])
    trained(conv_net(), blobs, hooks=[Spy("late")], start=9)
    assert seen["late"] == seen["whole"][9:]


def test_divergence_is_said(blobs, conv_net):
    with pytest.raises(
        TrainingDiverged, match=r"the loss became .* in epoch 1; lower the learning rate, now"
    ):
        trained(conv_net(), blobs, Training(epochs=2, batch_size=32, lr=1e30, momentum=0.0))


def test_errors(blobs, conv_net):
    with pytest.raises(ValueError, match="a training of 21 steps cannot start at step 22"):
        Loop(FlatModel(conv_net()), blobs, FAST, seed=0, start=22)
    loop = Loop(FlatModel(conv_net()), blobs, FAST, seed=0)
    with pytest.raises(ValueError, match="belongs to another training"):
        Loop(FlatModel(conv_net()), blobs, FAST, seed=1).load_state_dict(loop.state_dict())


def test_losses_are_finite_numbers(blobs, conv_net):
    loop = trained(conv_net(), blobs)
    assert all(math.isfinite(v) for m in loop.metrics for v in m.values())

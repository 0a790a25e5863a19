"""The mask trained by steps of its own: its gradient, its turns, what it reports, and resumption."""

import pytest
import torch
from torch.nn import functional
from users_own import UsersOwn

from concave_sparsity import L1, MCP, Log, Lq
from nets.configuration import Training
from nets.masking.laws import Clipped, DualAscent, Quantile, Sigmoid, Slopes
from nets.masking.trained_mask import GradientUpdate, ProximalUpdate, TrainedMask
from nets.methods.concave import OPTIONS, relaxed_mask
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

TRAINING = Training(epochs=4, batch_size=30, lr=0.05, weight_decay=5e-4)
DEFAULTS = {option.name: option.default for option in OPTIONS}


def made(penalty=None, density=0.2, **options):
    return relaxed_mask(DEFAULTS | {"interval": 3} | options, penalty or Log(0.1), density)


def loop_of(blobs, conv_net, *hooks, training=TRAINING):
    return Loop(FlatModel(conv_net()), blobs, training, seed=0, hooks=hooks)


class Watch(Hook):
    """Keep what the mask and the parameters are after every step."""

    watches_only = True

    def __init__(self, hook):
        self.hook = hook
        self.masks, self.parameters = [], []

    def after_step(self, loop):
        self.masks.append(self.hook.mask.clone())
        self.parameters.append(loop.flat.parameter.data.clone())


FORMS = {
    "gradient": {"update": "gradient"},
    "proximal": {"update": "proximal"},
    "sigmoid": {"relaxation": "sigmoid", "temperature": 1.0},
    "epoch": {"update": "gradient", "reweight": "epoch"},
    "adam": {"update": "proximal", "optimiser": "adam"},
    "momentum": {"update": "proximal", "optimiser": "momentum", "step": 3.0},
    "dual ascent": {"update": "gradient", "law": "dual-ascent", "warm_up": 0.1},
    "alternating": {"update": "gradient", "trained": "alternating", "period": 3},
    "given": {"update": "proximal", "lam": 0.01},
}


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(1.0), Lq(0.5), UsersOwn()], ids=lambda p: p.name)
def test_a_step_refreshed_every_time_is_the_gradient_of_the_concave_penalty(blobs, conv_net, penalty):
    """Majorize-minimize with weights r'(m) of every step, against autograd through L(theta m) + lam R(m)."""
    model = conv_net().eval()
    hook = made(penalty, update="gradient", lam=0.01, step=0.5, start=0.6)
    loop = Loop(FlatModel(model), blobs, TRAINING, seed=0, hooks=[hook])
    hook.start(loop)
    flat, (x, y) = loop.flat, blobs.part("validation")
    mask = hook.mask.clone().requires_grad_()
    theta = flat.weights.clone()
    functional.cross_entropy(model(x), y).backward()
    hook.after_backward(loop)
    loop.step = 1
    hook.after_step(loop)
    parts = flat.layout.split(theta * mask)
    objective = functional.cross_entropy(torch.func.functional_call(model, parts, (x,)), y)
    objective = objective + 0.01 * penalty.value(mask).sum()
    (slope,) = torch.autograd.grad(objective, mask)
    rate = 0.5 * loop.rates[0] / TRAINING.lr
    wanted = (mask.detach() - rate * slope).clamp(0, 1)
    torch.testing.assert_close(hook.mask, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_the_mask_stays_in_the_box_and_moves(blobs, conv_net, form):
    hook = made(**FORMS[form])
    watch = Watch(hook)
    loop_of(blobs, conv_net, hook, watch).run()
    masks = torch.stack(watch.masks)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks[-1].mean() < masks[0].mean()
    assert len({len(curve) for curve in hook.trace.values()}) == 1
    assert ("target" in hook.trace) == (form != "given")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stop", [5, 16, 31])
def test_resumes_to_the_bit(blobs, conv_net, form, stop):
    whole, again = made(**FORMS[form]), made(**FORMS[form])
    loop = loop_of(blobs, conv_net, whole).run()
    half = loop_of(blobs, conv_net, made(**FORMS[form])).run(until=stop)
    resumed = loop_of(blobs, conv_net, again)
    resumed.load_state_dict(half.state_dict())
    resumed.run()
    assert torch.equal(again.mask, whole.mask)
    assert torch.equal(resumed.flat.parameter, loop.flat.parameter)
    assert torch.equal(resumed.flat.effective, loop.flat.effective)
    assert again.trace == whole.trace


@pytest.mark.parametrize("update", ["gradient", "proximal"])
def test_the_law_lands_on_the_density(blobs, conv_net, update):
    hook = made(Log(0.1), density=0.2, update=update, descent=0.6)
    loop_of(blobs, conv_net, hook, training=Training(epochs=20, batch_size=30, lr=0.05)).run()
    assert hook.trace["above_half"][-1] == pytest.approx(0.2, abs=0.04)


def test_proximal_zeros_are_exact(blobs, conv_net):
    hook = made(Log(0.1), density=0.2, update="proximal")
    loop_of(blobs, conv_net, hook).run()
    assert (hook.mask == 0).float().mean() > 0.2


@pytest.mark.parametrize("penalty", [Log(0.1), Lq(0.5), MCP(1.0)], ids=lambda p: p.name)
@pytest.mark.parametrize("update", ["gradient", "proximal"])
def test_the_scale_of_the_loss_does_not_matter(blobs, conv_net, penalty, update):
    """A loss twice as large, and gradients of the weights taken back to what they were."""

    class Scaled(Hook):
        watches_only = True

        def __init__(self, factor):
            self.factor = factor

        def after_backward(self, loop):
            loop.flat.gradients_of_all.mul_(self.factor)

    masks = []
    for scale in (1.0, 1024.0):
        hook = made(penalty, update=update)
        loop_of(blobs, conv_net, Scaled(scale), hook, Scaled(1 / scale)).run()
        masks.append(hook.mask.clone())
    torch.testing.assert_close(*masks, rtol=0, atol=2e-3)


def test_turns_alternate(blobs, conv_net):
    hook = made(update="gradient", trained="alternating", period=4)
    watch = Watch(hook)
    loop_of(blobs, conv_net, hook, watch).run(until=16)
    for step in range(1, 16):
        weights_moved = not torch.equal(watch.parameters[step], watch.parameters[step - 1])
        mask_moved = not torch.equal(watch.masks[step], watch.masks[step - 1])
        assert weights_moved == (step // 4 % 2 == 0)
        assert mask_moved == (step // 4 % 2 == 1)


def test_the_mask_alone_leaves_the_weights(blobs, conv_net):
    hook = made(update="gradient", trained="mask")
    training = Training(epochs=1, batch_size=30, lr=0.05)
    loop = loop_of(blobs, conv_net, hook, training=training)
    before = loop.flat.parameter.data.clone()
    loop.run()
    assert torch.equal(loop.flat.parameter.data, before)
    assert hook.mask.mean() < 1
    with pytest.raises(ValueError, match="must not decay"):
        loop_of(blobs, conv_net, made(update="gradient", trained="mask")).run()


def test_the_mask_waits_for_its_warm_up(blobs, conv_net):
    hook = made(update="gradient", warm_up=0.5)
    watch = Watch(hook)
    loop_of(blobs, conv_net, hook, watch).run()
    moved = [bool((mask < 1).any()) for mask in watch.masks]
    assert not any(moved[:16])
    assert all(moved[20:])


def test_what_is_dead_stays_dead(blobs, conv_net):
    n = FlatModel(conv_net()).n
    alive = torch.arange(n) % 2 == 0
    for update, relaxation in (("gradient", "clipped"), ("proximal", "clipped"), ("gradient", "sigmoid")):
        options = DEFAULTS | {"update": update, "relaxation": relaxation, "interval": 3}
        hook = relaxed_mask(options, Log(0.1), 0.1, alive=alive, origin=0.5)
        watch = Watch(hook)
        loop_of(blobs, conv_net, hook, watch).run()
        assert not torch.stack(watch.masks)[:, ~alive].any()
        assert hook.mask[alive].any()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"start": 1.5}, "start must be in"),
        ({"warm_up": 0.9}, "warm_up and descent"),
        ({"interval": 0}, "interval must be"),
        ({"memory": 0.0}, "memory must be"),
        ({"trained": "both"}, "trained must be one of joint, alternating, mask, got 'both'"),
        ({"period": 0}, "period must be"),
    ],
)
def test_bad_settings(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainedMask(Clipped(), Slopes(L1()), GradientUpdate(), Quantile(), density=0.1, **bad)


def test_parts_go_together_freely(blobs, conv_net):
    parts = (Sigmoid(1.0), Slopes(Log(0.1), "epoch"), GradientUpdate(0.0, "sgd"), DualAscent(0.2))
    hook = TrainedMask(*parts, density=0.3, interval=2)
    loop_of(blobs, conv_net, hook).run()
    assert 0 < hook.mask.mean() < 0.9
    assert isinstance(ProximalUpdate(L1()), GradientUpdate)

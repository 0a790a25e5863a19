"""A masked step in one pass does what the separate calls do, and resumes like them."""

import copy
from dataclasses import replace

import pytest
import torch

import nets
from concave_sparsity import Log
from nets.configuration import Training
from nets.masking import masked_step
from nets.masking.relaxed_mask import RelaxedMask
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop

TRAINING = Training(epochs=4, batch_size=30, lr=0.05, weight_decay=5e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"weight_decay": 0.0}], ids=str)
def test_one_pass_is_the_separate_calls(blobs, conv_net, changes, dtype, monkeypatch):
    training = replace(TRAINING, **changes)
    ends = []
    for one_pass in (True, False):
        flat = FlatModel(conv_net().to(dtype))
        hook = RelaxedMask(Log(0.02), 0.1)
        loop = Loop(flat, blobs, training, seed=0, hooks=[hook])
        hook.start(loop)
        generator = torch.Generator().manual_seed(0)
        hook.mask = torch.rand(flat.n, generator=generator).to(dtype).mul_(1.3).clamp_(max=1.0)
        hook.start(loop)
        assert masked_step.in_one_pass(loop)
        if not one_pass:
            monkeypatch.setattr(masked_step, "in_one_pass", lambda loop: False)
        for _ in range(3):
            loop.step += 1
            flat.gradients_of_all.copy_(torch.randn(flat.parameter.numel(), generator=generator))
            hook.after_backward(loop)
            if not hook.take_step(loop):
                loop.optimiser.step()
                flat.gradients_of_all.zero_()
            hook.after_step(loop)
        assert not flat.gradients_of_all.any()
        momenta = loop.optimiser.state[flat.parameter]["momentum_buffer"]
        ends.append((flat.parameter.data, flat.effective, momenta, hook._squares))
        torch.testing.assert_close(flat.effective, flat.weights * hook.mask, rtol=0, atol=0)
    for one, other in zip(*ends):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("changes", [{"momentum": 0.0}, {"optimiser": "adam", "lr": 0.01}], ids=str)
def test_what_has_no_pass_of_its_own_takes_the_separate_calls(blobs, conv_net, changes):
    hook = RelaxedMask(Log(0.02), 0.2, interval=3)
    loop = Loop(FlatModel(conv_net()), blobs, replace(TRAINING, **changes), seed=0, hooks=[hook]).run()
    assert not masked_step.in_one_pass(loop)
    assert torch.equal(loop.flat.effective, loop.flat.weights * hook.mask)
    assert hook.trace["above_half"][-1] == pytest.approx(0.2, abs=0.02)


def test_two_hooks_cannot_take_the_step(blobs, conv_net):
    hooks = [RelaxedMask(Log(0.02), 0.2), RelaxedMask(Log(0.02), 0.2)]
    with pytest.raises(ValueError, match="2 hooks want to take the optimiser's step"):
        Loop(FlatModel(conv_net()), blobs, TRAINING, seed=0, hooks=hooks).run()


@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"foreach": True}, {"dampening": 0.5}], ids=str)
@pytest.mark.parametrize("kind", ["search", "hold"])
def test_in_a_loop_of_ones_own_one_pass_is_the_separate_calls(conv_net, kind, changes, monkeypatch):
    """Several groups, a gradient that stays as it was, momentum in the optimiser's own state."""
    ends = []
    for one_pass in (True, False):
        if not one_pass:
            monkeypatch.setattr(masked_step, "in_one_pass", lambda loop: False)
        model = conv_net().eval().double()
        biases = [p for p in model.parameters() if p.dim() == 1]
        matrices = [p for p in model.parameters() if p.dim() > 1]
        groups = [
            {"params": matrices, "weight_decay": 1e-2},
            {"params": biases},
        ]
        optimiser = torch.optim.SGD(groups, lr=0.05, momentum=0.9, **changes)
        masking = nets.Masking(model, optimiser, density=0.3, steps=40)
        if kind == "hold":
            generator = torch.Generator().manual_seed(3)
            masks = {n: torch.rand(m.shape, generator=generator) < 0.3 for n, m in masking.masks.items()}
            nets.Ticket(masks, copy.deepcopy(model.state_dict()), {}).hold(model, optimiser)
        generator = torch.Generator().manual_seed(0)
        for _ in range(40):
            x = torch.randn(16, 1, 8, 8, generator=generator, dtype=torch.float64)
            model(x).square().mean().backward()
            kept = model.hidden.weight.grad.clone()
            optimiser.step()
            if one_pass and not changes:
                assert torch.equal(model.hidden.weight.grad, kept)
            optimiser.zero_grad()
        momenta = [optimiser.state[p]["momentum_buffer"] for p in model.parameters()]
        weights = [t.clone() for t in model.state_dict().values()]
        ends.append((*weights, *momenta, masking.flat.weights))
    for one, other in zip(*ends):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["derived", "dampening", "maximize"])
def test_an_sgd_that_steps_otherwise_takes_its_own_step(blobs, conv_net, kind):
    class Derived(torch.optim.SGD):
        """Its step may be anything."""

    make = Derived if kind == "derived" else torch.optim.SGD
    changes = {"dampening": {"dampening": 0.5}, "maximize": {"maximize": True}}.get(kind, {})
    loop = Loop(FlatModel(conv_net()), blobs, TRAINING, seed=0)
    assert masked_step.in_one_pass(loop)
    loop.optimiser = make([loop.flat.parameter], lr=0.05, momentum=0.9, **changes)
    assert not masked_step.in_one_pass(loop)


def sgd_of_two_groups(model, matrices_first, **settings):
    """Steps on matrices alone: the rate of the biases is zero."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "lr": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "lr": 0.0},
    ]
    return torch.optim.SGD(groups if matrices_first else groups[::-1], lr=0.1, momentum=0.9, **settings)


def step(model, optimiser, x):
    model(x).square().mean().backward()
    optimiser.step()
    optimiser.zero_grad()


def test_a_new_optimiser_steps_by_groups_of_its_own(conv_net):
    model, x = conv_net().eval(), torch.randn(8, 1, 8, 8)
    optimiser = sgd_of_two_groups(model, True)
    masking = nets.Masking(model, optimiser, density=0.3, steps=20)
    step(model, optimiser, x)
    optimiser = sgd_of_two_groups(model, False)
    masking.attach(optimiser, 20)
    before = masking.flat.weights.clone()
    step(model, optimiser, x)
    assert not torch.equal(masking.flat.weights, before)


def test_step_hooks_of_the_user_s_find_the_gradients(conv_net):
    model, x = conv_net().eval(), torch.randn(8, 1, 8, 8)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masking = nets.Masking(model, optimiser, density=0.3, steps=20)

    def clip(optimiser, arguments, named):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.zero_()

    optimiser.register_step_pre_hook(clip)
    before = masking.flat.weights.clone()
    step(model, optimiser, x)
    assert torch.equal(masking.flat.weights, before)


@pytest.mark.parametrize("kind", ["search", "hold"])
def test_a_backward_pass_through_weights_before_the_step_is_refused(kind):
    model, x = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)), torch.randn(8, 4)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masking = nets.Masking(
        model, optimiser, "magnitude" if kind == "hold" else "concave", density=1, steps=20
    )
    if kind == "hold":
        nets.Ticket({n: m > 0.5 for n, m in masking.masks.items()}, model.state_dict(), {}).hold(
            model, optimiser
        )
    loss = model(x).square().mean()
    loss.backward(retain_graph=True)
    optimiser.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()

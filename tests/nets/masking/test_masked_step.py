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
        ends.append((flat.parameter.data, flat.effective, momenta, hook.squares))
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


#: Optimisers of a loop of one's own, and whether one pass takes their steps.
OWN = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}, True),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, True),
    "foreach": (torch.optim.SGD, {"momentum": 0.9, "foreach": True}, False),
    "dampening": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}, False),
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.95)}, True),
    "adam": (torch.optim.Adam, {"eps": 1e-3}, True),
    "amsgrad": (torch.optim.AdamW, {"amsgrad": True}, False),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("kind", ["search", "hold"])
def test_in_a_loop_of_ones_own_one_pass_is_the_separate_calls(conv_net, kind, name, monkeypatch):
    """Several groups, a gradient that stays as it was, the optimiser's own state."""
    make, settings, taken = OWN[name]
    ends = []
    for one_pass in (True, False):
        if not one_pass:
            monkeypatch.setattr(masked_step, "in_one_pass", lambda loop: False)
        model = conv_net().eval().double()
        biases = [p for p in model.parameters() if p.dim() == 1]
        matrices = [p for p in model.parameters() if p.dim() > 1]
        groups = [
            {"params": matrices, "weight_decay": 1e-2},
            {"params": biases, "lr": 0.01},
        ]
        optimiser = make(groups, lr=0.05 if make is torch.optim.SGD else 2e-3, **settings)
        masking = nets.Masking(model, optimiser, density=0.3, steps=40)
        if kind == "hold":
            generator = torch.Generator().manual_seed(3)
            masks = {n: torch.rand(m.shape, generator=generator) < 0.3 for n, m in masking.masks.items()}
            nets.Ticket(masks, copy.deepcopy(model.state_dict()), {}).hold(model, optimiser)
        generator = torch.Generator().manual_seed(0)
        for step in range(40):
            x = torch.randn(16, 1, 8, 8, generator=generator, dtype=torch.float64)
            model(x).square().mean().backward()
            kept = model.hidden.weight.grad.clone()
            optimiser.step()
            if one_pass and taken and step:
                assert torch.equal(model.hidden.weight.grad, kept)
            optimiser.zero_grad()
        memory = [optimiser.state[p][key] for p in model.parameters() for key in optimiser.state[p]]
        weights = [t.clone() for t in model.state_dict().values()]
        ends.append((*weights, *memory, masking.flat.weights))
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other)


def wide(name):
    """Return a network of one layer that threads share out, an optimiser of `OWN`, and a mask in it."""
    torch.manual_seed(0)
    model = torch.nn.Linear(300, 120)
    make, settings, _ = OWN[name]
    optimiser = make(model.parameters(), lr=1e-2, weight_decay=1e-2, **settings)
    return model, optimiser, nets.Masking(model, optimiser, density=0.3, steps=60)


def steps_of(model, optimiser, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        optimiser.step()


def end_of(model, optimiser, masking):
    memory = [value for p in model.parameters() for value in optimiser.state[p].values()]
    return [*model.state_dict().values(), masking.flat.weights, *masking.masks.values(), *memory]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_number_of_threads_changes_no_bit(name):
    ends, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            made = wide(name)
            steps_of(*made[:2], 30)
            ends.append(end_of(*made))
    finally:
        torch.set_num_threads(threads)
    assert 0.0 < float(made[2].masks["weight"].mean()) < 1.0
    for one, *others in zip(*ends, strict=True):
        assert all(torch.equal(one, other) for other in others)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_memory_that_moves_between_steps_is_found_again(name):
    ends = []
    for moved in (False, True):
        model, optimiser, masking = wide(name)
        for seed in range(4):
            steps_of(model, optimiser, 3, seed)
            if moved and seed == 0:
                optimiser.load_state_dict(copy.deepcopy(optimiser.state_dict()))
            if moved and seed == 1:
                for p in model.parameters():
                    state = optimiser.state[p]
                    for key in state:
                        state[key] = state[key].clone()
            if moved and seed == 2:
                for p in model.parameters():
                    p.data = p.data.clone()
            if moved and seed == 3:
                model.share_memory()  # memory moves under the tensors: they stay the same objects
                steps_of(model, optimiser, 3, seed)
            elif seed == 3:
                steps_of(model, optimiser, 3, seed)
        ends.append(end_of(model, optimiser, masking))
    for one, other in zip(*ends, strict=True):
        assert torch.equal(one, other)


def sizes_of_state(model, optimiser):
    state = copy.deepcopy(optimiser.state_dict())
    for vectors in state["state"].values():
        for key in vectors.keys() - {"step"}:
            vectors[key] = vectors[key].reshape(-1)[:10].clone()
    optimiser.load_state_dict(state)  # torch takes a state of another network


def shrunk_state(model, optimiser):
    for p in model.parameters():
        for key in optimiser.state[p].keys() - {"step"}:
            optimiser.state[p][key].data = optimiser.state[p][key].data.reshape(-1)[:10]  # where it was


def shrunk_gradients(model, optimiser):
    for p in model.parameters():
        p.grad.data = p.grad.data.reshape(-1)[:10]


def shrunk_bias(model, optimiser):
    model.bias.data = model.bias.data[:10]


def shrunk_weight(model, optimiser):
    model.weight.data = model.weight.data[:10]


SHRUNK = [sizes_of_state, shrunk_state, shrunk_gradients, shrunk_bias, shrunk_weight]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("change", SHRUNK)
def test_a_step_never_leaves_its_tensors(name, change):
    """What has another size than the parameter is refused, as torch refuses it."""
    model, optimiser, masking = wide(name)
    steps_of(model, optimiser, 2)
    for p in model.parameters():
        p.grad = torch.randn(p.shape)
    change(model, optimiser)
    if change not in (shrunk_bias, shrunk_weight):
        assert not masked_step.in_one_pass(masking)
    with pytest.raises((RuntimeError, ValueError), match=r"size|shape|memory|change the network"):
        optimiser.step()


def test_gradients_that_are_lazily_negated_are_negated():
    ends = []
    for lazy in (True, False):
        model, optimiser, masking = wide("sgd")
        steps_of(model, optimiser, 1)
        for p in model.parameters():
            p.grad = torch._neg_view(p.grad) if lazy else -p.grad
        optimiser.step()
        ends.append(end_of(model, optimiser, masking))
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other)


def test_after_a_step_that_failed_the_next_follows_its_own_gradients(monkeypatch):
    model, optimiser, _ = wide("sgd")
    steps_of(model, optimiser, 2)
    monkeypatch.setattr(optimiser, "_init_group", None)
    with pytest.raises(TypeError):
        optimiser.step()
    monkeypatch.undo()
    kept = optimiser.state[model.weight]["momentum_buffer"].clone()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.param_groups[0]["weight_decay"] = 0.0
    optimiser.step()
    torch.testing.assert_close(optimiser.state[model.weight]["momentum_buffer"], 0.9 * kept)


@pytest.mark.parametrize("left_out", ["weight", "bias"])
def test_a_parameter_that_leaves_the_optimiser_stays_as_it_is(left_out):
    model, optimiser, masking = wide("sgd")
    steps_of(model, optimiser, 2)
    parameters = dict(model.named_parameters())
    del parameters[left_out]
    optimiser.param_groups[0]["params"] = list(parameters.values())
    before = masking.flat.weights.clone(), model.bias.detach().clone()
    steps_of(model, optimiser, 2)
    assert torch.equal(before[0], masking.flat.weights) == (left_out == "weight")
    assert torch.equal(before[1], model.bias) == (left_out == "bias")


def test_a_weight_decay_that_is_a_tensor_may_change():
    model, optimiser, masking = wide("sgd")
    optimiser.param_groups[0]["weight_decay"] = torch.tensor(0.1)
    steps_of(model, optimiser, 2)
    assert not masked_step.in_one_pass(masking)


def test_parameters_without_a_mask_that_the_pass_cannot_take_are_the_optimisers(monkeypatch):
    """Sparse gradients, another type, a subclass of the parameter, none at all."""

    class Own(torch.nn.Parameter):
        """A parameter of the user's own."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(5, 4, sparse=True)
            self.layer = torch.nn.Linear(4, 3)
            self.scale = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
            self.shift = Own(torch.zeros(3))
            self.unused = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return self.layer(self.words(x)) * self.scale + self.shift

    ends = []
    for one_pass in (True, False):
        if not one_pass:
            monkeypatch.setattr(masked_step, "in_one_pass", lambda loop: False)
        torch.manual_seed(0)
        model = Net()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        masking = nets.Masking(model, optimiser, density=0.5, steps=20, exclude="words.weight")
        for i in range(6):
            if one_pass and i:
                assert masked_step.in_one_pass(masking)
            step(model, optimiser, torch.tensor([i % 5, 2]))
        ends.append([*model.state_dict().values(), masking.flat.weights])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["channels last", "bfloat16"])
def test_what_the_pass_cannot_take_is_left_as_it_was(kind):
    model, x = torch.nn.Conv2d(4, 6, 3), torch.randn(2, 4, 5, 5)
    if kind == "bfloat16":
        model, x = model.bfloat16(), x.bfloat16()
    else:
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masking = nets.Masking(model, optimiser, density=0.5, steps=20)
    model(x).square().mean().backward()
    assert not masked_step.in_one_pass(masking)
    assert not optimiser.state[model.weight]
    optimiser.step()
    momenta = optimiser.state[model.weight]["momentum_buffer"]
    torch.testing.assert_close(momenta, model.weight.grad, rtol=0, atol=0)  # of a mask of ones


def test_a_mask_of_another_type_is_taken_over_with_its_state(conv_net):
    optimisers, maskings = [], []
    for model in (conv_net().double(), conv_net()):
        optimisers.append(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        maskings.append(nets.Masking(model, optimisers[-1], density=0.3, steps=40))
    maskings[1].load_state_dict(maskings[0].state_dict())
    x = torch.randn(8, 1, 8, 8)
    for _ in range(12):
        step(maskings[1].model, optimisers[1], x)
    assert all(mask.dtype == torch.float32 for mask in maskings[1].masks.values())


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

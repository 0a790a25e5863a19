"""A mask in a training loop of the user's own: plain torch, the mask acts through the optimiser."""

import copy
import gc
import io
import pickle
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

import nets
from concave_sparsity import Log

METHODS = (
    "concave",
    "l1",
    "gmp",
    "set",
    "rigl",
    "soft-threshold",
    "continuous-sparsification",
    "l0",
    "pilot",
    "edge-popup",
    "gem-miner",
    "magnitude",
    "random",
    "synflow",
    "snip",
    "grasp",
)
STEPS = 60


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(600) % 3
    x = torch.randn(3, 20, generator=generator)[y] + torch.randn(600, 20, generator=generator)
    return x, y


def build(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 3))


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)


def train(model, optimiser, data, first=0, last=STEPS, after=lambda step: None, seed=0):
    """Train as anyone would; `after` is called after every step."""
    x, y = data
    for step in range(first, last):
        index = torch.randint(len(x), (32,), generator=torch.Generator().manual_seed(seed + step))
        cross_entropy(model(x[index]), y[index]).backward()
        optimiser.step()
        optimiser.zero_grad()
        after(step)


def zeros(model, ticket):
    parameters = dict(model.named_parameters())
    return all(not parameters[name][~mask].any() for name, mask in ticket.masks.items())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_one_training_finds_a_ticket_that_the_users_loop_retrains(method, points):
    model = build()
    initial = copy.deepcopy(model.state_dict())
    optimiser = adamw(model)
    batch = (points[0][:64], points[1][:64])
    masking = nets.Masking(
        model, optimiser, method, density=0.2, steps=STEPS, loss=cross_entropy, batch=batch
    )
    train(model, optimiser, points)
    ticket = masking.ticket(weights=initial)
    assert ticket.kept == round(0.2 * ticket.total)
    assert masking.density <= 1.0
    assert all(torch.equal(ticket.weights[name], initial[name]) for name in initial)
    ticket.apply(model)
    optimiser = adamw(model)
    ticket.hold(model, optimiser)
    held = []
    train(model, optimiser, points, after=lambda step: held.append(zeros(model, ticket)))
    assert all(held)
    assert len(held) == STEPS
    assert (model(points[0]).argmax(1) == points[1]).float().mean() > 0.5


@pytest.mark.parametrize("options", [{}, {"update": "proximal"}, {"relaxation": "sigmoid"}])
def test_the_network_sees_theta_times_the_mask_and_the_optimiser_steps_on_theta(options, points):
    """Beside a copy whose product is written out for autograd, mask frozen between two updates."""
    model, x, y = build(), *points
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masking = nets.Masking(model, optimiser, penalty=Log(0.1), density=0.2, steps=200, options=options)
    train(model, optimiser, points, last=57)
    theta = {n: t.clone() for n, t in masking.flat.snapshot().items()}
    masks = masking.masks
    for name, mask in masks.items():
        assert torch.equal(model.state_dict()[name], theta[name] * mask)
    other = build()
    other.load_state_dict(theta)
    leaves = {n: p.detach().clone().requires_grad_() for n, p in other.named_parameters()}
    effective = {n: p * masks.get(n, 1.0) for n, p in leaves.items()}
    cross_entropy(torch.func.functional_call(other, effective, x[:50]), y[:50]).backward()
    twin = torch.optim.SGD(leaves.values(), lr=0.1, momentum=0.9)
    twin.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    cross_entropy(model(x[:50]), y[:50]).backward()
    optimiser.step()
    twin.step()
    after = masking.flat.snapshot()
    for name, leaf in leaves.items():
        torch.testing.assert_close(after[name], leaf.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["concave", "gmp", "l0", "pilot", "soft-threshold", "rigl", "set"])
def test_an_interrupted_loop_ends_at_the_same_bits(method, points):
    ends = []
    for stop in (None, 23):
        model = build()
        optimiser = adamw(model)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=STEPS + 1)
        masking = nets.Masking(model, optimiser, method, density=0.1, steps=STEPS)
        train(model, optimiser, points, 0, stop or STEPS, lambda step, s=scheduler: s.step())
        if stop:
            file = io.BytesIO()
            parts = (model, optimiser, scheduler, masking)
            torch.save([part.state_dict() for part in parts], file)
            file.seek(0)
            states = torch.load(file, weights_only=True)
            model = build(1)
            optimiser = adamw(model)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=STEPS + 1)
            masking = nets.Masking(model, optimiser, method, density=0.1, steps=STEPS)
            for part, state in zip((model, optimiser, scheduler, masking), states):
                part.load_state_dict(state)
            train(model, optimiser, points, stop, STEPS, lambda step, s=scheduler: s.step())
        ends.append((model.state_dict(), masking.ticket(), dict(masking.trace)))
    (weights, ticket, trace), (others, resumed, curves) = ends
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert all(torch.equal(ticket.masks[name], resumed.masks[name]) for name in ticket.masks)
    assert all(torch.equal(ticket.weights[name], resumed.weights[name]) for name in ticket.weights)
    assert trace == curves


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=5e-3, fused=True),
    "foreach": lambda p: torch.optim.Adam(p, lr=5e-3, foreach=True),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=5e-3, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.9),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "tensor rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(5e-3)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_any_optimiser_searches_and_holds(name, points):
    model = build()
    initial = copy.deepcopy(model.state_dict())
    optimiser = OPTIMISERS[name](list(model.parameters()))
    masking = nets.Masking(model, optimiser, density=0.15, steps=STEPS)
    train(model, optimiser, points)
    assert masking.density == pytest.approx(0.15, abs=0.02)
    ticket = masking.ticket(initial)
    ticket.hold(model, optimiser)  # the same optimiser, with all its memory: the search ends
    held = []
    train(model, optimiser, points, after=lambda step: held.append(zeros(model, ticket)))
    assert all(held)
    assert len(held) == STEPS


def test_what_cannot_be_masked_is_refused_in_a_sentence(points):
    model = build()
    with pytest.raises(ValueError, match="LBFGS calls the closure several times"):
        nets.Masking(model, torch.optim.LBFGS(model.parameters()), steps=10)
    with pytest.raises(ValueError, match="does not step on it"):
        nets.Masking(model, torch.optim.SGD(model[0].parameters(), lr=0.1), steps=10)
    with pytest.raises(ValueError, match="does not act within one training"):
        nets.Masking(model, adamw(model), "imp", steps=10)
    with pytest.raises(ValueError, match="several trainings"):
        nets.Masking(model, adamw(model), "concave", steps=10, options={"rounds": 2})
    with pytest.raises(ValueError, match="steps must be"):
        nets.Masking(model, adamw(model), steps=0)
    with pytest.raises(ValueError, match="give loss= and batch="):
        nets.Masking(model, adamw(model), "snip", steps=10)
    with pytest.raises(ValueError, match="too short"):
        nets.Masking(model, adamw(model), "concave", steps=1)
    with pytest.raises(ValueError, match="give steps_per_epoch"):
        nets.Masking(model, adamw(model), steps=10, options={"reweight": "epoch", "update": "gradient"})
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, steps=10)
    with pytest.raises(ValueError, match="carries a mask already"):
        nets.Masking(model, optimiser, steps=10)
    with pytest.warns(UserWarning, match="cut at step 0 of 10"):
        masking.ticket()


class Restless(torch.optim.SGD):
    """Calls its closure twice."""

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            closure()
        return super().step(closure)


def test_a_closure_runs_the_network_under_its_mask(points):
    x, y = points
    ends = []
    for closed in (False, True):
        model = build()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        masking = nets.Masking(model, optimiser, density=0.1, steps=40)

        def closure(model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            return loss

        for _ in range(40):
            if closed:
                assert optimiser.step(closure).item() > 0
            else:
                closure()
                optimiser.step()
        ends.append(masking.ticket())
    assert all(torch.equal(ends[0].weights[n], ends[1].weights[n]) for n in ends[0].weights)
    model = build()
    optimiser = Restless(model.parameters(), lr=0.1)
    nets.Masking(model, optimiser, density=0.1, steps=40)
    with pytest.raises(RuntimeError, match="several times a step"):
        optimiser.step(lambda: cross_entropy(model(x), y))


def test_parts_of_a_batch_and_several_groups_give_the_same_ticket(points):
    x, y = points
    ends = []
    for parts in (1, 2):
        model = build().double()
        groups = [
            {"params": model[0].parameters(), "weight_decay": 0.1},
            {"params": [*model[2].parameters(), *model[4].parameters()], "lr": 1e-2},
        ]
        optimiser = torch.optim.AdamW(groups, lr=5e-3)
        masking = nets.Masking(model, optimiser, density=0.1, steps=STEPS)
        for step in range(STEPS):
            index = torch.randint(len(x), (32,), generator=torch.Generator().manual_seed(step))
            for i in index.chunk(parts):
                (cross_entropy(model(x[i].double()), y[i]) / parts).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=parts == 1)
        ends.append(masking.ticket())
    for name, mask in ends[0].masks.items():
        assert torch.equal(mask, ends[1].masks[name])


def test_copies_pickles_and_averages_see_a_plain_network(points):
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, density=0.1, steps=STEPS)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    train(model, optimiser, points, after=lambda step: averaged.update_parameters(model))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(points[0]), model(points[0]))
        assert set(twin.state_dict()) == set(build().state_dict())
    ticket = masking.ticket()
    masking.remove()
    ticket.apply(model)
    optimiser = adamw(model)
    ticket.hold(model, optimiser)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    train(model, optimiser, points, after=lambda step: averaged.update_parameters(model))
    assert zeros(averaged.module, ticket)
    assert zeros(copy.deepcopy(model), ticket)


@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_scaler_skips_a_step_and_the_mask_with_it(fused, points):
    x, y = points
    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    masking = nets.Masking(model, optimiser, density=0.1, steps=STEPS)
    for step in range(STEPS + 2):
        loss = cross_entropy(model(x), y)
        if step in (7, 20):
            loss = loss * torch.inf
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
    assert masking.step == STEPS
    plain = build()
    optimiser = torch.optim.AdamW(plain.parameters(), lr=5e-3, fused=fused)
    other = nets.Masking(plain, optimiser, density=0.1, steps=STEPS)
    for _ in range(STEPS):
        cross_entropy(plain(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()
    ticket = masking.ticket()
    for name, mask in other.ticket().masks.items():
        assert torch.equal(mask, ticket.masks[name])


def test_a_compiled_network_and_one_in_a_wrapper_are_masked_inside(points, tmp_path):
    inner = build()
    optimiser = adamw(inner)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = nn.parallel.DistributedDataParallel(inner, gradient_as_bucket_view=True)
            masking = nets.Masking(model, optimiser, density=0.1, steps=STEPS)
            train(model, optimiser, points)
    finally:
        torch.distributed.destroy_process_group()
    assert masking.density == pytest.approx(0.1, abs=0.02)
    compiled = torch.compile(build(), backend="aot_eager")
    optimiser = adamw(compiled)
    other = nets.Masking(compiled, optimiser, density=0.1, steps=STEPS)
    train(compiled, optimiser, points)
    one, two = masking.ticket(), other.ticket()
    assert set(one.masks) == {"0.weight", "2.weight", "4.weight"}
    for name, mask in one.masks.items():
        assert torch.equal(mask, two.masks[name])


def test_weights_written_from_outside_become_theta_and_a_failed_step_leaves_no_trace(points):
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, density=0.1, steps=STEPS)
    new = {name: torch.full_like(t, 0.25) for name, t in model.state_dict().items()}
    model.load_state_dict(new)
    train(model, optimiser, points, last=1)
    assert (masking.flat.weights - 0.25).abs().max() < 0.01
    train(model, optimiser, points, 1, 40)
    theta = masking.flat.weights.clone()
    averaged, own = build(3).state_dict(), copy.deepcopy(model.state_dict())
    model.load_state_dict(averaged)
    model.load_state_dict(own)  # evaluated under other weights, which were put back
    optimiser.param_groups[0]["lr"] = 0.0
    train(model, optimiser, points, 40, 41)
    assert torch.equal(masking.flat.weights, theta)
    optimiser.param_groups[0]["betas"] = None  # whatever makes a step fail
    with pytest.raises(TypeError):
        train(model, optimiser, points, 41, 42)
    optimiser.zero_grad()
    optimiser.param_groups[0]["betas"] = (0.9, 0.999)
    optimiser.param_groups[0]["lr"] = 5e-3
    train(model, optimiser, points, 42, 44)
    for name, mask in masking.masks.items():
        assert torch.equal(model.state_dict()[name], masking.flat.snapshot()[name] * mask)


@pytest.mark.parametrize("method", ["concave", "gmp", "rigl", "l0", "pilot", "edge-popup", "soft-threshold"])
def test_the_step_after_a_failed_one_goes_on_from_where_things_stood(method, points):
    """Fault: scores had no graph left to take their gradient through."""
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, method, density=0.2, steps=12)
    train(model, optimiser, points, last=5)
    before = copy.deepcopy(model.state_dict())
    failing = optimiser.register_step_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(model, optimiser, points, 5, 6)
    failing.remove()
    optimiser.zero_grad()
    masking.flat.settle()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    train(model, optimiser, points, 5, 12)
    assert masking.step == 12
    assert masking.ticket().kept == round(0.2 * masking.n)


@pytest.mark.parametrize("method", ["concave", "l0", "soft-threshold", "rigl", "edge-popup", "pilot"])
@pytest.mark.parametrize("make", [adamw, lambda model: torch.optim.SGD(model.parameters(), 0.05, 0.9)])
def test_a_copy_of_a_training_goes_on_as_the_training_does(make, method, points):
    """Fault: the copied mask stood still, as an optimiser is copied without its hooks."""
    model = build()
    optimiser = make(model)
    parts = (model, optimiser, nets.Masking(model, optimiser, method, density=0.2, steps=24))
    train(model, optimiser, points, last=11)
    other = copy.deepcopy(parts)
    with pytest.raises(TypeError, match=r"not pickled: keep its state_dict\(\)"):
        pickle.dumps(parts[2])
    ends = []
    for model, optimiser, masking in (parts, other):
        train(model, optimiser, points, 11, 24)
        ends.append((masking.step, masking.ticket()))
    (step, ticket), (copied, same) = ends
    assert step == copied == 24
    assert all(torch.equal(same.masks[name], mask) for name, mask in ticket.masks.items())
    assert all(torch.equal(same.weights[name], t) for name, t in ticket.weights.items())


@pytest.mark.parametrize("granularity", ["2:4", "channel"])
def test_granularities_hold_in_the_users_loop(granularity, points):
    model = build()
    initial = copy.deepcopy(model.state_dict())
    optimiser = adamw(model)
    masking = nets.Masking(
        model,
        optimiser,
        density=0.5,
        steps=STEPS,
        granularity=granularity,
        batch=(points[0][:8], points[1][:8]),
    )
    train(model, optimiser, points)
    ticket = masking.ticket(initial)
    if granularity == "2:4":
        assert all((m.view(m.shape[0], -1, 4).sum(-1) == 2).all() for m in ticket.masks.values())
    else:
        small = nets.shrink(ticket.apply(build()), ticket)
        assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_networks_of_any_floating_type_find_a_ticket(method, dtype, points):
    model = build().to(dtype)
    data = points[0].to(dtype), points[1]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    masking = nets.Masking(
        model, optimiser, method, density=0.2, steps=8, loss=cross_entropy, batch=(data[0][:64], data[1][:64])
    )
    train(model, optimiser, data, last=8)
    ticket = masking.ticket()
    assert ticket.density == pytest.approx(0.2, abs=1e-3)
    assert all(weights.dtype == dtype for weights in ticket.weights.values())


def test_weights_written_after_the_last_step_are_the_ticket_s_and_the_mask_stays(points):
    for method in ("concave", "gmp", "edge-popup"):
        model = build()
        optimiser = adamw(model)
        masking = nets.Masking(model, optimiser, method, density=0.2, steps=8)
        train(model, optimiser, points, last=8)
        before = masking.ticket()
        averaged = {name: torch.randn_like(t) for name, t in model.state_dict().items()}
        model.load_state_dict(averaged)
        after = masking.ticket()
        assert all(torch.equal(after.masks[name], mask) for name, mask in before.masks.items())
        assert all(torch.equal(after.weights[name], t) for name, t in averaged.items())
        stored = masking.state_dict()["weights"]
        if stored is not None:
            assert torch.equal(stored, torch.cat([averaged[n].flatten() for n in masking.layout.names]))


@pytest.mark.parametrize("method", ["concave", "gmp", "edge-popup"])
def test_weights_taken_away_and_put_back_change_nothing(method, points):
    """Also where the network sees scaled weights, as with edge-popup."""
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, method, density=0.2, steps=8)
    train(model, optimiser, points, last=8)
    before = masking.ticket().weights
    own = copy.deepcopy(model.state_dict())
    model.load_state_dict(build(seed=1).state_dict())
    model.load_state_dict(own)
    after = masking.ticket().weights
    assert all(torch.equal(after[name], t) for name, t in before.items())


def test_a_state_that_the_training_went_on_changing_is_told(points):
    model = build()
    live, kept = model.state_dict(), copy.deepcopy(model.state_dict())
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, density=0.2, steps=8)
    train(model, optimiser, points, last=8)
    with pytest.warns(UserWarning, match=r"copy\.deepcopy\(model\.state_dict\(\)\) before it"):
        masking.ticket(weights=live)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masking.ticket(weights=kept)
        model.load_state_dict(kept)
        masking.ticket(weights=model.state_dict())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": "10"}, "steps, the number of optimiser steps, must be a real number, got '10'"),
        ({"penalty": 3}, "penalty must be a Penalty or its name"),
        ({"optimiser": [1]}, "a mask acts through a torch optimiser"),
        (
            {"granularity": "2:4", "density": {"*": 0.1}},
            "densities of layers are for single weights, not for 2:4",
        ),
        ({"options": {"rewinding": "fine-tuning"}}, "rewinding is said when the ticket is cut"),
        ({"method": "snip", "batch": iter([])}, "batch is an iterator, which can be read once"),
        (
            {"method": "snip", "batch": [torch.ones(2, 20)], "loss": cross_entropy},
            r"one batch \(inputs, target\)",
        ),
        ({"method": "snip", "loss": cross_entropy}, r"give batch=\(inputs, target\)"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(settings, sentence):
    model = build()
    with pytest.raises((ValueError, TypeError), match=sentence):
        nets.Masking(model, **{"optimiser": adamw(model), "steps": 10, **settings})


def test_what_is_no_state_and_what_no_optimiser_has_is_told(points):
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, method="magnitude", density=0.2, steps=2)
    with pytest.raises(
        ValueError, match=r"it has no method, names.* give what masking\.state_dict\(\) returned"
    ):
        masking.load_state_dict({})
    train(model, optimiser, points, last=2)
    with pytest.raises(TypeError, match=r"weights must be a state .* got Sequential"):
        masking.ticket(weights=model)
    with pytest.raises(ValueError, match=r"give '2\.weight' to the optimiser too"):
        masking.ticket().hold(model, torch.optim.SGD(model[0].parameters(), lr=0.1))


def test_channels_need_inputs_alone(points):
    model = build()
    masking = nets.Masking(model, adamw(model), density=0.5, steps=4, granularity="channel", batch=points[0])
    assert masking.entries < masking.n


@pytest.mark.parametrize("method", ["concave", "continuous-sparsification", "random"])
def test_a_training_that_diverged_gives_no_ticket_and_is_told_by_its_tensors(method, points):
    model = build()
    optimiser = adamw(model)
    masking = nets.Masking(model, optimiser, method, density=0.2, steps=8)
    train(model, optimiser, points, last=5)
    train(model, optimiser, (points[0] * torch.nan, points[1]), 5, 8)
    with pytest.raises(ValueError, match=r"diverged: the weights of 0\.weight, .* hold NaN after step 8"):
        masking.ticket()


def test_a_training_of_ones_own_that_diverged_is_told(points):
    def my_training(model, masking):
        optimiser = adamw(model)
        masking.attach(optimiser, steps=6)
        train(model, optimiser, (points[0] * torch.nan, points[1]), last=6)

    with pytest.raises(ValueError, match="diverged"):
        nets.find_ticket(build(), method="concave", density=0.2, train=my_training, options={"rounds": 2})


def test_two_masks_on_one_weight_are_refused_until_the_first_is_over(points):
    model = build()
    first = adamw(model)
    masking = nets.Masking(model, first, density=0.2, steps=8)
    with pytest.raises(ValueError, match=r"0\.weight carries a mask already, through another optimiser"):
        nets.Masking(model, adamw(model), density=0.2, steps=8)
    half = torch.optim.SGD(model[4].parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"4\.weight carries a mask already"):
        nets.Masking(model, half, include="4.weight", density=0.2, steps=8)
    train(model, first, points, last=8)
    ticket = masking.ticket()
    nets.Masking(model, adamw(model), density=0.2, steps=8).remove()  # the first is over
    holding = adamw(model)
    ticket.hold(model, holding)
    with pytest.raises(ValueError, match="carries a mask already"):
        nets.Masking(model, adamw(model), density=0.2, steps=8)
    network = weakref.ref(model)
    del model, first, masking, half, holding, ticket
    gc.collect()
    assert network() is None  # nothing keeps what nobody trains


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 9}, "with steps 8, this one has steps 9"),
        ({"density": 0.3}, "with density 0.2, this one has density 0.3"),
        ({"method": "l1"}, "with method concave, this one has method l1"),
        ({"penalty": "mcp(2)"}, r"with penalty Log\(eps=0\.02.*\), this one has penalty MCP"),
        ({"options": {"descent": 0.5}}, "with options .*'descent': 0.8.* this one has options"),
        ({"exclude": "4.weight"}, "with names 0.weight, 2.weight, 4.weight, this one has names 0.weight"),
    ],
)
def test_the_state_of_another_mask_is_refused_with_both_values(changes, sentence):
    model, other = build(), build()
    state = nets.Masking(model, adamw(model), density=0.2, steps=8).state_dict()
    masking = nets.Masking(other, adamw(other), **{"density": 0.2, "steps": 8, **changes})
    with pytest.raises(ValueError, match=sentence):
        masking.load_state_dict(state)


def test_a_concrete_ticket_keeps_the_outputs_of_its_teacher_in_a_loop_of_ones_own(points):
    x = points[0]
    model, dense = build(), build()
    initial = copy.deepcopy(model.state_dict())
    ends = {}
    for method in ("concrete-ticket", "random"):
        model.load_state_dict(initial)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        masking = nets.Masking(model, optimiser, method, density=0.5, steps=150)
        if method != "random":
            for _ in range(150):
                with torch.no_grad():
                    wanted = log_softmax(masking.teacher(x), 1)
                kl_div(wanted, log_softmax(model(x), 1), log_target=True, reduction="batchmean").backward()
                optimiser.step()
                optimiser.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the random mask needs no training
            ticket = masking.ticket(initial)
        masking.remove()
        assert ticket.kept == round(0.5 * ticket.total)
        assert all(torch.equal(ticket.weights[n], t) for n, t in initial.items())
        sparse = nets.make_permanent(ticket.apply(build()))
        outputs = (log_softmax(network(x), 1) for network in (dense, sparse))
        ends[method] = kl_div(*outputs, log_target=True, reduction="batchmean").item()
    assert ends["concrete-ticket"] < 0.7 * ends["random"]

"""Methods in rounds, each training made by a function of the user's."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import nets

STEPS = 40


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    return torch.randn(3, 20, generator=generator)[y] + torch.randn(300, 20, generator=generator), y


def build():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 3))


class Training:
    """A training as a user writes it; notes the share of weights that the network sees."""

    def __init__(self, data):
        self.data = data
        self.seen = []

    def __call__(self, model, masking):
        x, y = self.data
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
        masking.attach(optimiser, steps=STEPS)
        generator = torch.Generator().manual_seed(0)
        seen = []
        for _ in range(STEPS):
            index = torch.randint(len(x), (32,), generator=generator)
            cross_entropy(model(x[index]), y[index]).backward()
            optimiser.step()
            optimiser.zero_grad()
            weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
            seen.append(sum(int((p != 0).sum()) for p in weights) / sum(p.numel() for p in weights))
        self.seen.append(seen)


def test_iterative_pruning_calls_the_users_training_as_often_as_it_needs(points):
    training = Training(points)
    model = build()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    ticket = nets.find_ticket(model, method="imp", density=0.5, train=training)
    assert ticket.kept == round(0.5 * ticket.total)
    assert len(training.seen) == 4  # 0.8**4 is below one half
    for number, seen in enumerate(training.seen):
        assert seen == pytest.approx([0.8**number] * STEPS, abs=2e-3)
    assert all(torch.equal(ticket.weights[name], before[name]) for name in before)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert ticket.metadata["search_epochs"] == 4


@pytest.mark.parametrize("rewind", [0, 7])
@pytest.mark.parametrize(
    ("method", "options", "trainings"),
    [
        ("concave", {"rounds": 2}, 2),
        ("continuous-sparsification", {"rounds": 2}, 2),
        ("concave", {}, 1),
        ("gmp", {}, 1),
        ("snip", {}, 0),
    ],
)
def test_other_methods_do_too(method, options, trainings, rewind, points):
    training = Training(points)
    batch = (points[0][:50], points[1][:50])
    ticket = nets.find_ticket(
        build(),
        method=method,
        density=0.2,
        train=training,
        options=options,
        rewind=rewind,
        loss=cross_entropy,
        batch=batch,
    )
    assert ticket.kept == round(0.2 * ticket.total)
    assert trainings <= len(training.seen) <= trainings + (rewind > 0)
    assert torch.equal(ticket.weights["0.weight"], build().state_dict()["0.weight"]) == (rewind == 0)


def test_what_a_training_leaves_undone_is_said(points):
    with pytest.raises(ValueError, match=r"did not call masking.attach"):
        nets.find_ticket(build(), method="imp", density=0.5, train=lambda model, masking: None)

    def short(model, masking):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        masking.attach(optimiser, steps=3)
        cross_entropy(model(points[0]), points[1]).backward()
        optimiser.step()

    with pytest.warns(UserWarning, match="1 of the 3 steps"):
        nets.find_ticket(build(), method="magnitude", density=0.5, train=short)
    with pytest.raises(ValueError, match="leave data out"):
        nets.find_ticket(build(), points, method="imp", train=short)
    with pytest.raises(ValueError, match=r"leave (epochs, device|device, epochs) out"):
        nets.find_ticket(build(), method="imp", train=short, epochs=3, device="cpu")
    with pytest.raises(ValueError, match="your training alone"):
        nets.find_ticket(
            build(), method="imp", density=0.5, train=Training(points), options={"rewinding": "fine-tuning"}
        )


def test_pruning_layer_by_layer_needs_samples_and_no_loss(points):
    training = Training(points)
    with pytest.raises(ValueError, match=r"looks at samples: give batch=\(inputs, target\)"):
        nets.find_ticket(build(), method="wanda", density=0.2, train=training)
    ticket = nets.find_ticket(build(), method="wanda", density=0.2, train=training, batch=points)
    assert ticket.kept == round(0.2 * ticket.total)


def test_a_method_that_learns_at_the_rate_of_the_training_takes_it_from_yours(points):
    ticket = nets.find_ticket(build(), method="pilot", density=0.2, train=Training(points))
    assert ticket.kept == round(0.2 * ticket.total)

"""Every kind of network in a loop of the user's: search, exact count, zeros that stay, better than random."""

import pytest
import torch
from torch import nn

import nets
from nets.tasks import named_task

TEXT = (
    "in the beginning a network is dense and most of its weights are idle; "
    "a ticket keeps the few that carry the sense and trains them alone. "
) * 8


class LanguageModel(nn.Module):
    """A causal transformer on characters, its embedding tied to the projection on logits."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(32, 32)
        self.places = nn.Parameter(0.1 * torch.randn(16, 32))
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 32, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        x = self.layer(self.words(x) * 4 + self.places[: x.shape[1]], src_mask=mask, is_causal=True)
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])[:, 0]


class UNet(nn.Module):
    """One level down and up, with a skip connection, grouped and transposed convolutions."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        skip = torch.relu(self.first(x))
        return self.last(torch.cat([skip, torch.relu(self.up(torch.relu(self.down(skip))))], 1))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(3))
        self.one = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.two = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.norms[0](self.stem(x)))
        inner = torch.relu(self.norms[1](self.one(x)))
        return self.out(torch.relu(x + self.norms[2](self.two(inner))).amax((2, 3)))


class Attention(nn.Module):
    """Finds the token that a query asks for."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 24)
        self.attention = nn.MultiheadAttention(24, 3, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        x = self.embed(x)
        return self.out(self.attention(x[:, :1], x, x)[0])[:, 0, 0]


def text():
    letters = sorted(set(TEXT))
    codes = torch.tensor([letters.index(c) for c in TEXT])
    rows = codes.unfold(0, 17, 3)
    return rows[:, :-1], rows[:, 1:]


def series():
    x = torch.randn(400, 10, 4)
    return x, x[:, :, 0].cumsum(1)[:, -1] / 3 + x[:, -1, 1]


def segments():
    x = 0.3 * torch.randn(120, 1, 12, 12)
    y = torch.zeros(120, 12, 12, dtype=torch.long)
    for i in range(120):
        a, b = torch.randint(0, 7, (2,)).tolist()
        x[i, 0, a : a + 5, b : b + 5] += 1.0
        y[i, a : a + 5, b : b + 5] = 1
    return x, y


def function():
    x = torch.randn(600, 10)
    return x, torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]


def pictures():
    y = torch.arange(240) % 3
    return torch.randn(3, 1, 8, 8)[y] + 0.8 * torch.randn(240, 1, 8, 8), y


def question():
    x = torch.randn(500, 6, 8)
    x[:, :, 0] = 0.0
    place = torch.randint(1, 6, (500,))
    x[torch.arange(500), place, 0] = 3.0
    return x, x[torch.arange(500), place, 1]


class Regression(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return super().forward(x)[:, 0]


#: network, data, task (its loss, and the metric on held-out samples), density, what is masked if named
KINDS = {
    "tied language model": (
        LanguageModel,
        text,
        "language-model(shift=false)",
        0.1,
        ("words.weight", "layer.self_attn.*weight", "layer.linear?.weight"),
    ),
    "LSTM": (Recurrent, series, "regression(metric=r2)", 0.05, ()),
    "U-Net per pixel": (UNet, segments, "per-pixel", 0.05, ()),
    "regression MLP": (Regression, function, "regression(huber)", 0.05, ()),
    "attention": (Attention, question, "regression", 0.05, ()),
    "ResNet": (ResNet, pictures, "classification", 0.05, ()),
}
#: By how much a ticket is better at the least, in the unit of the metric.
GAINS = {"perplexity": 0.5, "r2": 0.05, "rmse": 0.02, "mean-iou": 0.02, "accuracy": 0.02}
STEPS = 80


def train(model, data, loss, optimiser, check=lambda: None):
    """Train as anyone would, with clipping, a schedule and averaged weights; return the average."""
    x, y = data
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=STEPS + 1)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        index = torch.randint(len(x), (24,), generator=generator)
        loss(model(x[index]), y[index]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        averaged.update_parameters(model)
        check()
    return averaged


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_of_any_network_beats_a_random_one_by_its_own_metric(kind):
    make, draw, name, density, include = KINDS[kind]
    task = named_task(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x, y = draw()
        order = torch.randperm(len(x))
        x, y = x[order], y[order]
        initial = make().state_dict()
    held = len(x) // 4
    ends = {}
    for method in ("concave", "random"):
        model = make()
        model.load_state_dict(initial)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
        masking = nets.Masking(model, optimiser, method, density=density, steps=STEPS, include=include)
        if method != "random":
            train(model, (x[held:], y[held:]), task.loss, optimiser)
        else:
            masking.step = STEPS
        ticket = masking.ticket(weights=initial)
        assert ticket.kept == round(density * ticket.total)
        masking.remove()
        ticket.apply(model)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
        ticket.hold(model, optimiser)
        parameters = dict(model.named_parameters())
        moved = []

        def check(parameters=parameters, ticket=ticket, moved=moved):
            moved.append(any(bool(parameters[n][~m].any()) for n, m in ticket.masks.items()))

        averaged = train(model, (x[held:], y[held:]), task.loss, optimiser, check)
        assert len(moved) == STEPS
        assert not any(moved)
        means = dict(averaged.module.named_parameters())
        assert not any(means[n][~m].any() for n, m in ticket.masks.items())
        ends[method] = nets.evaluate(averaged, (x[:held], y[:held]), task=task)
    scores = {method: end.score for method, end in ends.items()}
    assert task.metric.gain(scores["concave"], scores["random"]) > GAINS[task.metric.name], scores

"""Gradual pruning follows its cubic; regrowth keeps the layer counts and moves the right weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nets.configuration import Training
from nets.data import Dataset
from nets.granularity.single_weights import layer_counts
from nets.masking.selection import select
from nets.methods.sparse_training import GradualPruning, Regrowth, _due, _regrown
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

TRAINING = Training(epochs=10, batch_size=10, lr=0.05, momentum=0.9, weight_decay=1e-3)


class Watch(Hook):
    """Records the layer counts of a mask and checks that pruned weights are zero after every step."""

    def __init__(self, hook):
        self.hook = hook
        self.counts = []
        self.masks = []

    def after_step(self, loop):
        assert not loop.flat.weights[~self.hook.mask].any()
        self.counts.append([int(m.sum()) for m in loop.flat.layout.segments(self.hook.mask)])
        self.masks.append(self.hook.mask.clone())


def train(hook, seed=0):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 6, generator=generator)
    y = (x[:, 0] > 0).long()
    data = Dataset("half-planes", x, y, x[:0], y[:0], x, y, n_classes=2)
    torch.manual_seed(0)
    flat = FlatModel(nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 2)))
    watch = Watch(hook(flat))
    Loop(flat, data, TRAINING, seed=seed, hooks=(watch.hook, watch), part=None).run()
    return flat, watch


@pytest.mark.parametrize("grow", ["random", "gradient"])
def test_regrowth_keeps_the_count_of_every_layer_at_every_step(grow):
    def hook(flat):
        start = select(torch.rand(flat.n, generator=torch.Generator().manual_seed(1)), flat.layout, 50, "erk")
        return Regrowth(start, grow, drop=0.5, end=0.8, updates=12)

    flat, watch = train(hook)
    expected = layer_counts(flat.layout.shapes, 50, "erk")
    assert sum(expected) == 50
    assert all(counts == expected for counts in watch.counts)
    changes = sum(not torch.equal(a, b) for a, b in zip(watch.masks, watch.masks[1:]))
    assert 6 <= changes <= 12
    last = round(0.8 * len(watch.masks))
    assert all(torch.equal(watch.masks[last - 1], m) for m in watch.masks[last:])


@given(st.data())
@settings(max_examples=100)
def test_regrowth_drops_the_smallest_and_grows_the_largest(data):
    n = data.draw(st.integers(2, 40))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    mask = torch.rand(n, generator=generator) < data.draw(st.floats(0, 1))
    share = data.draw(st.floats(0, 1))
    magnitudes = torch.rand(n, generator=generator) * mask
    growth = torch.rand(n, generator=generator)
    new = _regrown(magnitudes, mask, growth, share)
    assert new.sum() == mask.sum()
    kept = int(mask.sum()) - int(share * int(mask.sum()))
    survivors = set(sorted(torch.nonzero(mask).flatten().tolist(), key=lambda i: -magnitudes[i])[:kept])
    others = sorted(set(range(n)) - survivors, key=lambda i: -growth[i])
    assert set(torch.nonzero(new).flatten().tolist()) == survivors | set(others[: int(mask.sum()) - kept])


def test_gradual_pruning_follows_the_cubic_and_ends_exactly():
    flat, watch = train(lambda flat: GradualPruning(flat.n, 13, 0.2, 0.8, updates=10))
    sizes = [sum(counts) for counts in watch.counts]
    steps = len(sizes)
    assert all(size == flat.n for size in sizes[: round(0.2 * steps)])
    assert all(size == 13 for size in sizes[round(0.8 * steps) - 1 :])
    middle = sizes[round(0.5 * steps) - 1]
    assert middle == 13 + round((flat.n - 13) * 0.5**3)
    for early, late in zip(watch.masks, watch.masks[1:]):
        assert not (late & ~early).any(), "a pruned weight came back"


@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 60))
def test_updates_are_as_many_as_asked_for_and_the_last_is_at_the_end(first, span, updates):
    due = [_due(step, first, first + span, updates) for step in range(first + span + 3)]
    shares = [share for share in due if share is not None]
    assert len(shares) == min(updates, span)
    assert shares == sorted(shares)
    assert due[first + span] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"begin": 0.5, "end": 0.5}, "begin < end"),
        ({"begin": 0.1, "end": 0.5, "updates": 0}, "updates must be at least 1"),
    ],
)
def test_gradual_pruning_refuses_bad_schedules(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradualPruning(10, 2, **{"updates": 5, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grow": "best"}, "grow must be"),
        ({"drop": 1.0}, "drop must be in"),
        ({"end": 0.0}, "end must be in"),
        ({"updates": 0}, "updates must be at least 1"),
    ],
)
def test_regrowth_refuses_bad_options(arguments, message):
    with pytest.raises(ValueError, match=message):
        Regrowth(torch.ones(4) > 0, **{"grow": "random", "drop": 0.3, "end": 0.5, "updates": 5, **arguments})

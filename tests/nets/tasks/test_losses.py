"""Losses: sums, counts and divergences are what they say, whatever the batch is cut into."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from nets.tasks import CrossEntropy, MultiLabel, NextToken, Regression, Task, named_task

SHAPES = {
    CrossEntropy(): ((12, 4), (12,), True),
    CrossEntropy((1.0, 2.0, 0.5, 0.0), 0.1): ((12, 4), (12,), True),
    CrossEntropy(ignore_index=2): ((6, 4, 3, 2), (6, 3, 2), True),
    NextToken(ignore_index=1): ((6, 5, 4), (6, 5), True),
    NextToken(shift=False): ((6, 5, 4), (6, 5), True),
    Regression(): ((12, 2), (12, 2), False),
    Regression("huber", 0.3): ((12, 1), (12,), False),
    MultiLabel((1.0, 3.0)): ((12, 2), (12, 2), False),
}


def batch(loss, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape, target, classes = SHAPES[loss]
    output = torch.randn(shape, generator=generator)
    if classes:
        return output, torch.randint(0, 4, target, generator=generator)
    return output, torch.rand(target, generator=generator).round()


@pytest.mark.parametrize("loss", SHAPES, ids=repr)
@given(seed=st.integers(0, 50), cut=st.integers(1, 5))
def test_sums_and_counts_of_parts_give_the_mean_of_the_whole(loss, seed, cut):
    output, target = batch(loss, seed)
    task = Task(loss, "accuracy")
    parts = list(zip(output.split([cut, len(output) - cut]), target.split([cut, len(target) - cut])))
    total = sum(task.total(o, t) for o, t in parts)
    count = sum(float(task.count(t)) for _, t in parts)
    whole = loss(output, target)
    smoothed = isinstance(loss, CrossEntropy) and loss.label_smoothing and loss.weights
    if not smoothed:  # torch divides the smoothed part by the weights of the targets, too
        torch.testing.assert_close(total / count, whole, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(task.total(output, target) / task.count(target), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", SHAPES, ids=repr)
def test_divergences_vanish_where_outputs_agree_and_only_there(loss):
    output, _ = batch(loss)
    other, _ = batch(loss, 1)
    task = Task(loss, "accuracy")
    assert float(task.divergence(output, output)) == pytest.approx(0, abs=1e-6)
    assert float(task.divergence(output, other)) > 1e-3


def test_a_language_model_predicts_the_next_token():
    logits, tokens = batch(NextToken(shift=False))
    expected = functional.cross_entropy(logits[:, :-1].reshape(-1, 4), tokens[:, 1:].reshape(-1))
    torch.testing.assert_close(NextToken()(logits, tokens), expected)
    padded = tokens.clone()
    padded[:, 3:] = -100
    shorter = functional.cross_entropy(logits[:, :2].reshape(-1, 4), tokens[:, 1:3].reshape(-1))
    torch.testing.assert_close(NextToken()(logits, padded), shorter)
    with pytest.raises(ValueError, match=r"logits \(n, t, vocabulary\)"):
        NextToken()(logits[0], tokens)


def test_outputs_that_would_only_broadcast_are_refused():
    assert float(Regression()(torch.ones(5, 1), torch.zeros(5))) == 1.0
    with pytest.raises(ValueError, match="do not go with targets"):
        Regression()(torch.ones(5, 2), torch.zeros(5))


def test_objects_with_logits_are_read():
    output, target = batch(CrossEntropy())
    plain = named_task("classification").loss(output, target)
    assert torch.equal(named_task("classification").loss({"logits": output}, target), plain)
    with pytest.raises(TypeError, match="neither a tensor nor anything with logits"):
        named_task("classification").loss((output,), target)

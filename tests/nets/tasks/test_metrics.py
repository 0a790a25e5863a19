"""Metrics against scikit-learn, accumulated over batches of any size."""

import math

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets import Metric, Task
from nets.metric import ACCURACY
from nets.tasks import METRICS, CrossEntropy, Mean
from nets.tasks.metrics import MeanIoU, named_metric


def over_batches(metric, output, target, size):
    metric.reset()
    sums = None
    for o, t in zip(output.split(size), target.split(size)):
        found = metric.sums(o, t)
        sums = found if sums is None else sums + found
    return metric.value(sums)


@given(seed=st.integers(0, 100), size=st.integers(1, 30), outputs=st.integers(1, 3))
def test_of_numbers(seed, size, outputs):
    rng = np.random.default_rng(seed)
    y, f = rng.normal(3, 2, (30, outputs)), rng.normal(3, 2, (30, outputs))
    output, target = torch.from_numpy(f).float(), torch.from_numpy(y).float()
    expected = {
        "rmse": math.sqrt(sklearn.metrics.mean_squared_error(y, f)),
        "mae": sklearn.metrics.mean_absolute_error(y, f),
        "r2": sklearn.metrics.r2_score(y, f),
    }
    for name, value in expected.items():
        assert over_batches(METRICS[name](), output, target, size) == pytest.approx(value, rel=1e-4)


@given(seed=st.integers(0, 100), size=st.integers(1, 30))
def test_of_classes(seed, size):
    rng = np.random.default_rng(seed)
    logits, y = rng.normal(size=(30, 4)), rng.integers(0, 4, 30)
    output, target = torch.from_numpy(logits), torch.from_numpy(y)
    found = logits.argmax(1)
    assert over_batches(METRICS["accuracy"](), output, target, size) == np.mean(found == y)
    iou = sklearn.metrics.jaccard_score(y, found, average="macro", labels=np.union1d(y, found))
    assert over_batches(METRICS["mean-iou"](), output, target, size) == pytest.approx(iou)
    kept = y != 2
    ignoring = over_batches(MeanIoU(loss=CrossEntropy(ignore_index=2)), output, target, size)
    expected = sklearn.metrics.jaccard_score(
        y[kept], found[kept], average="macro", labels=np.union1d(y[kept], found[kept])
    )
    assert ignoring == pytest.approx(expected)


@given(seed=st.integers(0, 100), size=st.integers(1, 20))
def test_of_labels_and_tokens(seed, size):
    rng = np.random.default_rng(seed)
    logits, y = rng.normal(size=(20, 5)), rng.integers(0, 2, (20, 5))
    f1 = sklearn.metrics.f1_score(y, logits > 0, average="micro", zero_division=1.0)
    found = over_batches(METRICS["f1"](), torch.from_numpy(logits), torch.from_numpy(y), size)
    assert found == pytest.approx(f1)
    logits, tokens = rng.normal(size=(20, 6, 7)), rng.integers(0, 7, (20, 6))
    p = np.exp(logits[:, :-1]) / np.exp(logits[:, :-1]).sum(-1, keepdims=True)
    nll = -np.log(np.take_along_axis(p, tokens[:, 1:, None], 2)).mean()
    output, target = torch.from_numpy(logits), torch.from_numpy(tokens)
    found = over_batches(METRICS["perplexity"](), output, target, size)
    assert found == pytest.approx(math.exp(nll), rel=1e-5)


def test_one_made_of_a_function_and_one_that_adds_up_by_itself():
    def absolute(output, target):
        return (output - target).abs()

    class Largest:
        higher_is_better = False

        def reset(self):
            self.found = 0.0

        def update(self, output, target):
            self.found = max(self.found, float((output - target).abs().max()))

        def compute(self):
            return torch.tensor(self.found)

    output, target = torch.arange(10.0), torch.zeros(10)
    each = Mean(name="gap", function=absolute, higher_is_better=False)
    assert over_batches(each, output, target, 3) == 4.5
    whole = Mean(name="gap", function=lambda o, t: absolute(o, t).mean(), higher_is_better=False)
    assert over_batches(whole, output, target, 4) == 4.5
    own = named_metric(Largest())
    assert (own.name, own.higher_is_better) == ("largest", False)
    assert over_batches(own, output, target, 3) == over_batches(own, output, target, 7) == 9.0
    for wrong in (abs, object()):
        with pytest.raises(TypeError, match="metric must be a nets"):
            Task(absolute, wrong)


def test_descriptions_survive_a_row_and_accuracy_needs_none():
    for make in METRICS.values():
        metric = make()
        again = Metric.of_row(metric.columns())
        assert again == metric.described()
        with pytest.raises(NotImplementedError, match="only described"):
            again.sums(None, None)
    assert METRICS["accuracy"]().columns() == {}
    assert METRICS["accuracy"]().described() == ACCURACY


def test_texts_have_the_unit_and_gains_the_direction():
    rmse, accuracy = METRICS["rmse"](), METRICS["accuracy"]()
    assert accuracy.text(0.9725) == "97.25%"
    assert accuracy.gain_text(accuracy.gain(0.975, 0.97)) == "+0.50 points"
    assert rmse.gain(1.5, 2.0) == 0.5
    assert rmse.gain_text(-0.25) == "-0.25"
    assert accuracy.tolerated(0.9) == 0.005
    assert rmse.tolerated(2.0) == pytest.approx(0.02)
    assert Metric(name="error", unit="mm", tolerance=0.1).text(2.5) == "2.5 mm"
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        Metric(name="drop table")

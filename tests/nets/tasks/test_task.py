"""One task, read by loop, evaluation, criteria, distillation, matching, results, tables and the report."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import nets
from nets import Task, Training, evaluate, registry
from nets.analysis.comparison import Comparison
from nets.analysis.matching import is_matching, judge
from nets.analysis.table import matching_lines, rich_table
from nets.data import load
from nets.report import write_report
from nets.search import Search, Wanted
from nets.search.criteria import grasp, snip
from nets.tasks import METRICS, named_task

TRAINING = Training(epochs=3, batch_size=32, lr=0.05)
RMSE = METRICS["rmse"]()


def plane():
    """Return a regression: a linear function of two of eight inputs, and noise."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 8, generator=generator)
    y = 2 * x[:, 0] - x[:, 1] + 0.1 * torch.randn(300, generator=generator)
    return x, y


def curve():
    return plane()


def network(n_classes=1):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, n_classes))


def network_of(input_shape, n_classes):
    return network(n_classes)


def search_for(task, x=None, y=None):
    data = load(plane() if x is None else (x, y), task=task)
    return Search(network(data.n_classes), data, TRAINING, Wanted(densities=[0.5]))


@pytest.mark.parametrize("criterion", [snip, grasp])
def test_criteria_read_the_loss(criterion):
    """Before, both took the cross-entropy whatever the loss was: one mask for all."""
    scores = [criterion(search_for(task), 200) for task in ("regression", "regression(huber, delta=0.1)")]
    assert not torch.allclose(scores[0], scores[1])
    ranks = [s.argsort().tolist() for s in scores]
    assert ranks[0] != ranks[1]


def test_snip_is_the_sensitivity_of_the_users_loss():
    task = Task(lambda output, y: (output[:, 0] - y).abs().mean(), "mae")
    search = search_for(task)
    model, data = search.flat.model, search.data
    task.loss(model(data.x_train), data.y_train).backward()
    parameters = dict(model.named_parameters())
    expected = search.layout.join(
        {n: (parameters[n] * parameters[n].grad).abs() for n in search.layout.names}
    )
    torch.testing.assert_close(snip(search_for(task), 10_000), expected.detach(), rtol=1e-3, atol=1e-6)


def test_the_loop_minimises_the_loss_and_judges_by_the_metric():
    trained = nets.retrain(None, network(), plane(), training=replace(TRAINING, epochs=10))
    assert trained.metric == RMSE.described()
    assert set(trained.metrics[-1]) == {"epoch", "train_loss", "validation_rmse", "validation_loss"}
    assert trained.test_score < 0.4 < evaluate(network(), load(plane()), "test").score
    with pytest.raises(AttributeError, match="judged by its rmse"):
        _ = trained.test_accuracy


def test_label_smoothing_of_a_training_needs_classes():
    with pytest.raises(ValueError, match="does not go with the task regression"):
        nets.retrain(None, network(), plane(), training=replace(TRAINING, label_smoothing=0.1))


@pytest.mark.parametrize("method", ["concave", "snip", "grasp", "concrete-ticket", "gmp", "synflow"])
def test_methods_find_tickets_for_a_regression(method):
    ticket = nets.find_ticket(network(), plane(), method, density=0.25, training=TRAINING)
    assert ticket.kept == round(0.25 * ticket.total)
    assert ticket.metadata["task"] == "regression"
    report = ticket.metadata["report"]
    if method == "gmp":
        assert report["search_rmse"] > 0
    if method in ("concave", "concrete-ticket"):
        assert report["cut_loss"] == report["cut_rmse"] - report["relaxed_rmse"]


def test_a_ticket_of_a_regression_beats_a_random_one():
    longer = replace(TRAINING, epochs=15)
    scores = {}
    for method in ("concave", "random"):
        ticket = nets.find_ticket(network(), plane(), method, density=0.06, training=longer)
        scores[method] = nets.retrain(ticket, network(), plane(), training=longer).test_score
    assert scores["concave"] < 0.7 * scores["random"]


@pytest.fixture(scope="module")
def comparison():
    here = "tests.nets.tasks.test_task"
    changes = {
        "data": f"{here}:curve",
        "model": f"{here}:network_of",
        "epochs": 4,
        "batch_size": 32,
        "lr": 0.05,
    }
    return nets.compare(
        methods=("dense", "concave", "random"), densities=(0.25,), seeds=2, workers=1, **changes
    )


def test_results_tables_and_plots_name_the_metric(comparison, tmp_path):
    assert comparison.metric == RMSE.described()
    row = comparison.results[-1].row()
    assert row["test_rmse"] == comparison.results[-1].test_score
    assert row["metric"] == "rmse"
    assert "test_accuracy" not in row
    assert all(row["rmse"] > 0 for row in comparison.table())
    headings = [str(column.header).replace("\n", " ") for column in rich_table(comparison).columns]
    assert "test rmse" in headings
    assert any("1% of the dense value" in line for line in matching_lines(comparison))
    assert comparison.draw(tmp_path / "p.png").stat().st_size > 1000


def test_matching_has_the_direction_and_the_unit_of_the_metric():
    dense, close, worse = (
        {0: 2.0, 1: 2.02, 2: 1.98},
        {0: 2.001, 1: 2.021, 2: 1.981},
        {0: 2.1, 1: 2.12, 2: 2.08},
    )
    assert is_matching(close, dense, metric=RMSE).holds
    assert not is_matching(worse, dense, metric=RMSE).holds
    assert is_matching(worse, dense, tolerance=0.2, metric=RMSE).holds
    assert judge(dense, dense, worse, metric=RMSE).is_winning
    evidence = is_matching(worse, dense, metric=RMSE)
    assert evidence.difference == pytest.approx(-0.1)
    assert "points" not in evidence.explain()
    assert "points" in is_matching([0.9, 0.91], [0.9, 0.91]).explain()


def test_runs_are_stored_and_reported_by_their_metric(tmp_path):
    here = "tests.nets.tasks.test_task"
    play = nets.Play(
        data=f"{here}:curve", model=f"{here}:network_of", epochs=2, batch_size=32, lr=0.05, density=0.25
    )
    result = nets.run(play, tmp_path)
    assert nets.run(play, tmp_path) == result
    frame = nets.results(tmp_path)
    assert set(frame["test_rmse"]) > {result.test_score}
    assert math.isfinite(nets.query("select min(test_rmse) as best from results", tmp_path)["best"][0])
    page = write_report(tmp_path, tmp_path / "r.html").read_text()
    assert "Test rmse against density" in page
    assert "Rmse against density" in page
    assert "accuracy (%)" not in page


def test_one_comparison_has_one_metric(comparison):
    assert Comparison(()).metric.name == "accuracy"


def test_names_settings_and_paths():
    assert named_task("Multi_Label").name == "multi-label"
    assert named_task("regression(huber, metric=r2)").metric.name == "r2"
    assert named_task("classification(weights=1:2:0.5)").loss.weights == (1.0, 2.0, 0.5)
    assert named_task("language-model(shift=false)").loss.shift is False
    assert named_task("tests.nets.tasks.test_task:named").name == "<lambda>"
    for text, words in {
        "regresion": "unknown task 'regresion' \\(did you mean 'regression'\\?\\)",
        "regression(loss=cubic)": "mse or huber",
        "regression(gamma=1)": "the task regression takes loss, delta, metric",
        "classification(label_smoothing=2)": "label_smoothing must be in",
        "math:pi": "is a float, not a nets.Task",
        "3": "a task is written like",
    }.items():
        with pytest.raises(ValueError, match=words):
            named_task(text)


def named():
    return Task(lambda output, y: (output - y).square().mean(), "rmse")


def test_a_task_of_ones_own_gets_a_name():
    @registry.tasks.register("absolute")
    def absolute(power=1.0):
        return Task(lambda output, y: (output[:, 0] - y).abs().pow(power).mean(), "mae", name="absolute")

    try:
        assert "absolute" in registry.tasks
        assert load(plane(), task="absolute(2)").task.metric.name == "mae"
        with pytest.raises(ValueError, match="there is a task 'regression' already"):
            registry.tasks.register("regression", absolute)
    finally:
        registry.tasks.forget("absolute")


@pytest.mark.parametrize(
    "spec",
    [
        "classification(metric=rmse)",
        "regression(metric=accuracy)",
        "multi-label(metric=mae)",
        "per-pixel(metric=f1)",
        "language-model(metric=r2)",
    ],
)
def test_a_metric_that_measures_something_else_is_refused(spec):
    """It would give numbers all the same."""
    with pytest.raises(ValueError, match=r"the task .* is judged by .* or a metric of yours, not by"):
        named_task(spec)


def test_targets_of_several_labels_are_zero_or_one():
    x = torch.randn(40, 6)
    with pytest.raises(ValueError, match=r"y must hold 0 or 1 for the task multi-label, got numbers from -"):
        nets.data.load((x, x[:, :3]), task="multi-label")
    assert nets.data.load((x, (x[:, :3] > 0).float()), task="multi-label").task.name == "multi-label"

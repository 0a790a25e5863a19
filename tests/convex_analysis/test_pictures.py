"""Pictures of a path, a cross-validation and a verdict: what they show is what was found."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from concave_sparsity import Log
from convex_analysis import MaskProblem, RegressionProblem, cross_validate, majorize_minimize, path, theorems
from convex_analysis.pictures import draw_solution, picture


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12))
    return RegressionProblem(X, X[:, :3] @ [2.0, -1.0, 1.0] + 0.1 * rng.standard_normal(60), penalty=Log(0.1))


def test_a_path_shows_every_coefficient_and_names_the_chosen(problem):
    found = path(problem, n_lams=12)
    ax = found.plot(names=[f"gene {j}" for j in range(12)])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"gene 0", "gene 1", "gene 2"} <= set(labels)
    assert labels[-1] == f"EBIC: {found.best('ebic').lam:.3g}"
    shown = {tuple(line.get_ydata()) for line in ax.lines}
    assert all(tuple(row) in shown for row in found.coefficients if row.any())
    assert found.plot(ax, criterion="") is ax
    plt.close(ax.figure)


def test_cross_validation_shows_losses_and_both_choices(problem):
    found = cross_validate(problem, n_lams=8, folds=3)
    ax = found.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(f"{found.best.support.size} features" in label for label in labels)
    assert "3 held-out folds" in ax.get_ylabel()
    plt.close(ax.figure)


def test_a_verdict_shows_bound_and_truth_or_why_there_is_none():
    rng = np.random.default_rng(1)
    X, target = rng.standard_normal((80, 10)), (np.arange(10) < 3).astype(float)
    problem = MaskProblem(X, X @ target, penalty=Log(0.5), lam=0.01)
    verdict = theorems.T4.check(problem, target, majorize_minimize(problem))
    ax = verdict.plot()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([verdict.measured, verdict.bound])
    assert ax.get_title(loc="left").startswith("T4 ")
    plt.close(ax.figure)
    ax = theorems.T4.check(problem, None, None).plot()
    assert ax.texts
    plt.close(ax.figure)


def test_a_solution_shows_its_largest_coefficients_beside_the_target():
    x, target = np.array([0.0, 0.9, -0.2, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])
    names = ["a", "b", "c", "d"]
    shown = []
    content = picture(lambda ax: (draw_solution(ax, x, names, target), shown.append(ax)))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    (ax,) = shown
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "d", "c"]
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.0, -0.2]

"""Tell malignant from benign tumours by few of 30 measurements: accuracy against the number kept.

Run ``python examples/tumours.py``, which draws tumours.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from concave_sparsity import L1, Log
from concave_sparsity.plot_style import in_style, look, new_axes
from convex_analysis import RegressionProblem, path


@in_style
def main() -> None:
    """Follow a path of logistic models by each penalty; draw the log-loss on held-out patients."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        StandardScaler().fit_transform(X), 2.0 * y - 1.0, test_size=0.4, random_state=0, stratify=y
    )
    ax = new_axes()[0]
    for name, penalty, number in (("l1", L1(), 1), ("log, eps 0.1", Log(0.1), 0)):
        problem = RegressionProblem(X_train, y_train, loss="logistic", penalty=penalty, fit_intercept=True)
        best: dict[int, float] = {}
        for found in path(problem, n_lams=40, smallest=1e-3):
            loss = np.logaddexp(0.0, -y_test * (X_test @ found.x + found.intercept)).mean()
            best[found.support.size] = min(best.get(found.support.size, np.inf), float(loss))
        sizes = sorted(best)
        ax.plot(sizes, [best[size] for size in sizes], **look(number), label=name)
        least = min(best, key=lambda size: best[size])
        print(f"{name}: held-out log-loss {best[least]:.3f} with {least} measurements")
    ax.set_xlabel("measurements in the model")
    ax.set_ylabel("log-loss of held-out patients")
    ax.set_title("with few measurements the concave path has the smaller loss")
    ax.set_ylim(0.0, 0.75)  # beyond, the labels of the training patients are nearly separated
    ax.legend()
    ax.figure.savefig("tumours.png")
    plt.close(ax.figure)


if __name__ == "__main__":
    main()

"""Choose among 400 correlated genes with 80 samples: the path, and what cross-validation says.

Run ``python examples/genes.py``, which draws genes.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from concave_sparsity import L1, Log
from convex_analysis import RegressionProblem, cross_validate, path


def main() -> None:
    """Print true and false genes by penalty and choice; draw the path and the held-out loss."""
    rng = np.random.default_rng(0)
    n, d = 80, 400
    base = rng.standard_normal((n, d // 10))  # genes come in groups of ten that move together
    X = 0.6 * np.repeat(base, 10, axis=1) + 0.8 * rng.standard_normal((n, d))
    true = {3, 57, 120, 251, 333}
    y = X[:, sorted(true)] @ [1.5, -1.2, 1.0, 1.0, -0.8] + 0.5 * rng.standard_normal(n)

    for penalty in (L1(), Log(0.1)):
        problem = RegressionProblem(X, y, penalty=penalty, fit_intercept=True)
        along, validated = path(problem, n_lams=60), cross_validate(problem, n_lams=30)
        chosen = {"EBIC": along.best("ebic"), "cross-validation": validated.best}
        for name, found in chosen.items():
            right = len(true & set(found.support))
            print(f"{penalty}, {name}: {right} of 5 genes, {found.support.size - right} others")
    ax = along.plot(names=[f"gene {j}" for j in range(d)])
    ax.figure.savefig("genes.png", dpi=160)
    losses = validated.plot()
    losses.figure.savefig("genes_losses.png", dpi=160)
    plt.close("all")


if __name__ == "__main__":
    main()

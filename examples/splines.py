"""Which of ten measurements matter for the progress of diabetes, whatever the shape? Groups, and a proof.

Run ``python examples/splines.py``; the data come with scikit-learn (442 patients). Each measurement becomes
a cubic spline, and its coefficients are one group: kept or dropped together, by the penalty of their norm.
lam is chosen by cross-validation; branch and bound over the norms says how near to the global minimum the
point is.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import SplineTransformer, StandardScaler

from concave_sparsity import MCP
from convex_analysis import RegressionProblem, cross_validate, global_minimum


def main() -> None:
    """Print what is kept, how well it predicts, and what is proved of it."""
    data = load_diabetes()
    y = (data.target - data.target.mean()) / data.target.std()
    splines, groups = [], []
    for name, column in zip(data.feature_names, data.data.T, strict=True):
        few = len(np.unique(column)) < 5  # sex is a category
        columns = (
            column[:, None] if few else SplineTransformer(n_knots=4).fit_transform(column[:, None])[:, 1:]
        )
        splines.append(StandardScaler().fit_transform(columns))
        groups += [name] * columns.shape[1]
    X = np.hstack(splines)
    problem = RegressionProblem(
        X, y, penalty=MCP.classical(3.0), groups=groups, ridge=0.01, fit_intercept=True
    )

    found = cross_validate(problem, n_lams=20).best_within_one_error
    problem = problem.with_lam(found.lam)
    names = np.array(groups)
    kept = [name for name in data.feature_names if found.x[names == name].any()]
    print(
        f"{X.shape[1]} columns in {len(set(groups))} groups; kept at lam = {found.lam:.3g}: {', '.join(kept)}"
    )
    proof = global_minimum(problem, gap=1e-3, time_limit=20)
    print(f"objective {found.objective:.4f}, of the best point known {proof.objective:.4f}")
    print(f"nothing is below {proof.lower_bound:.4f}: {proof.n_nodes} group lassos in {proof.seconds:.1f} s")
    others = [name for name in data.feature_names if proof.x[names == name].any()]
    print(f"the best point keeps {', '.join(others)}")


if __name__ == "__main__":
    main()

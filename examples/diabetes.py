"""What drives the progress of diabetes? Ten features and their products: stability, honest loss, refit.

Run ``python examples/diabetes.py``; the data come with scikit-learn (Efron, Hastie, Johnstone and
Tibshirani 2004; 442 patients). A feature's square and products are kept or dropped with MCP, with a little
ridge since they are correlated.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from concave_sparsity import L1, MCP
from convex_analysis import (
    RegressionProblem,
    effective_degrees_of_freedom,
    nested_cross_validate,
    refit,
    stability_selection,
)
from convex_analysis.cross_validation import cross_validate


def main() -> None:
    """Print what each of the four says."""
    data = load_diabetes()
    products = PolynomialFeatures(degree=2, include_bias=False)
    X = StandardScaler().fit_transform(products.fit_transform(data.data))
    names = products.get_feature_names_out(data.feature_names)
    y = (data.target - data.target.mean()) / data.target.std()
    problem = RegressionProblem(X, y, penalty=MCP.classical(0.1), fit_intercept=True, ridge=0.01)

    stable = stability_selection(problem.with_penalty(L1()), most=8, threshold=0.75, pairs=25)
    print(f"stable in three halves of four: {', '.join(names[stable.selected])}")
    print(f"  of which wrong: {stable.error_bound:.2f} at most in expectation")

    chosen = cross_validate(problem, n_lams=20).best_within_one_error
    freedom = effective_degrees_of_freedom(problem.with_lam(chosen.lam), chosen)
    print(f"MCP at lam = {chosen.lam:.3g}: {chosen.support.size} features, {freedom:.1f} degrees of freedom")

    nested = nested_cross_validate(problem, n_lams=20, selection="one-standard-error")
    print(f"held-out squared error: {2 * nested.mean:.3f} ± {2 * nested.standard_error:.3f} of 1")

    half = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
    found = cross_validate(problem.with_sample_weight(half.astype(float)), n_lams=20).best_within_one_error
    fresh = refit(problem.with_sample_weight((~half).astype(float)), found)  # samples that did not choose
    for j, value, (low, high) in zip(fresh.support, fresh.coefficients, fresh.intervals):
        print(f"  {names[j]:12} {value:6.3f}  [{low:6.3f}, {high:6.3f}]")


if __name__ == "__main__":
    main()

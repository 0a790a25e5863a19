"""What drives the rate of claims when policies last unequally long? An offset for the exposure.

Run ``python examples/exposure.py``; the data are made: 2,000 policies of a month to three years, 30
features of which four change the rate. A count is a rate times its exposure, so the logarithm of the
exposure is known of the predictor: an offset. Two other features say how long a policy lasts: leaving the
exposure out finds them.
"""

from __future__ import annotations

import numpy as np

from concave_sparsity import MCP
from convex_analysis import RegressionProblem, path


def main() -> None:
    """Print the features that each model keeps, and its coefficients."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 30))
    years = np.clip(np.exp(0.8 * X[:, 10] - 0.6 * X[:, 11] + 0.3 * rng.standard_normal(2000)), 1 / 12, 3.0)
    truth = np.zeros(30)
    truth[:4] = [0.6, -0.5, 0.4, 0.3]
    claims = rng.poisson(years * np.exp(X @ truth - 1.5))

    parts = {"loss": "poisson", "penalty": MCP.classical(3.0), "fit_intercept": True}
    models = {
        "with the exposure as offset": RegressionProblem(X, claims, offset=np.log(years), **parts),
        "without": RegressionProblem(X, claims, **parts),
        # The same model as the first: rates, each weighted by how long it was watched.
        "rates weighted by exposure": RegressionProblem(X, claims / years, sample_weight=years, **parts),
    }
    for name, problem in models.items():
        found = path(problem, n_lams=40).best("ebic")
        shown = ", ".join(f"{j}: {found.x[j]:+.2f}" for j in found.support)
        error = np.linalg.norm(found.x - truth)
        print(f"{name}: keeps {shown}; error of the coefficients {error:.2f}")


if __name__ == "__main__":
    main()

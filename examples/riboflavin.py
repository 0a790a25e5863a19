"""Which genes drive riboflavin production? 71 samples, 4,088 genes: lasso beside MCP, SCAD and log.

Run ``CONCAVE_SPARSITY_DATA=FOLDER python examples/riboflavin.py [SPLITS]``; minutes. The folder holds
``sparse/riboflavin.npz`` (Buehlmann, Kalisch and Meier 2014). Each model chooses alpha by cross-validation
inside the training part of a random split, and is judged on the part that it has not seen.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP, SCAD
from convex_analysis import ConcaveRegressorCV

PENALTIES = {
    "lasso": {"penalty": "l1"},
    "MCP": {"penalty": MCP.classical, "penalty_parameters": {"gamma": 3.0}},
    "SCAD": {"penalty": SCAD.classical, "penalty_parameters": {"a": 3.7}},
    "log": {"penalty": "log", "penalty_parameters": {"eps": 0.1}},
}


def main() -> None:
    """Print for each penalty the error on held-out samples, and the genes of a fit to all samples."""
    file = Path(os.environ.get("CONCAVE_SPARSITY_DATA", ".")) / "sparse" / "riboflavin.npz"
    if not file.is_file():
        raise SystemExit(
            f"There is no {file}. Make it of riboflavin.RData of the R package hdi (CRAN), with the arrays "
            "X, y and feature_names, the genes' names, and name its folder's parent by CONCAVE_SPARSITY_DATA."
        )
    with np.load(file, allow_pickle=False) as data:
        X, y, names = data["X"].astype(float), data["y"].astype(float), data["feature_names"].astype(str)
    splits = ShuffleSplit(int(sys.argv[1]) if sys.argv[1:] else 10, test_size=0.2, random_state=0)
    folds = KFold(5, shuffle=True, random_state=0)
    for name, penalty in PENALTIES.items():
        choice = ConcaveRegressorCV(cv=folds, n_alphas=50, alpha_min_ratio=0.02, **penalty)
        model = make_pipeline(StandardScaler(), choice)
        errors = -cross_val_score(model, X, y, cv=splits, scoring="neg_mean_squared_error")
        coef = model.fit(X, y)[-1].coef_
        leading = np.argsort(-np.abs(coef), kind="stable")[: min(6, np.count_nonzero(coef))]
        shown = ", ".join(f"{names[j]} {coef[j]:+.2f}" for j in leading)
        print(f"{name:6}squared error {errors.mean():.3f} of {y.var():.3f}", end="; ")
        print(f"{np.count_nonzero(coef)} genes: {shown}, ...")


if __name__ == "__main__":
    main()

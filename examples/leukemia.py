"""Which genes tell two leukemias apart? 72 patients, 7,129 genes: lasso beside MCP, SCAD and log.

Run ``CONCAVE_SPARSITY_DATA=FOLDER python examples/leukemia.py``; a minute. The folder holds
``sparse/leukemia_golub.npz`` (Golub et al. 1999). Each model is a logistic regression that chooses alpha by
cross-validation on the 38 training patients, with a little ridge since they can be told apart without an
error; its own errors are counted on the 34 others.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP, SCAD
from convex_analysis import ConcaveClassifierCV

PENALTIES = {
    "lasso": {"penalty": "l1"},
    "MCP": {"penalty": MCP.classical, "penalty_parameters": {"gamma": 8.0}},
    "SCAD": {"penalty": SCAD.classical, "penalty_parameters": {"a": 8.0}},
    "log": {"penalty": "log", "penalty_parameters": {"eps": 0.1}},
}


def main() -> None:
    """Print for each penalty the genes kept, and errors and log-loss of the test patients."""
    file = Path(os.environ.get("CONCAVE_SPARSITY_DATA", ".")) / "sparse" / "leukemia_golub.npz"
    if not file.is_file():
        raise SystemExit(
            f"There is no {file}. Make it of golub.RData of the R package datamicroarray "
            "(github.com/ramhiser/datamicroarray), with the arrays X, y (-1 and 1) and is_train, Golub's own "
            "split, and name its folder's parent by CONCAVE_SPARSITY_DATA."
        )
    with np.load(file, allow_pickle=False) as data:
        X, y, train = data["X"].astype(float), data["y"].astype(float), data["is_train"].astype(bool)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for name, penalty in PENALTIES.items():
        choice = ConcaveClassifierCV(cv=folds, n_alphas=30, alpha_min_ratio=0.003, l2=0.01, **penalty)
        model = make_pipeline(StandardScaler(), choice).fit(X[train], y[train])
        errors = np.count_nonzero(model.predict(X[~train]) != y[~train])
        print(
            f"{name:6}{np.count_nonzero(model[-1].coef_):4} genes, {errors} errors of {(~train).sum()}, "
            f"log-loss {log_loss(y[~train], model.predict_proba(X[~train])):.3f}"
        )


if __name__ == "__main__":
    main()

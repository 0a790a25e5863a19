"""Which genes tell two leukemias apart? 72 patients, 7,129 genes: lasso beside MCP, SCAD and log.

Run ``CONCAVE_SPARSITY_DATA=... python examples/leukemia.py``; the folder holds
``sparse/leukemia_golub.npz`` (Golub et al. 1999; X, y, and ``is_train``, the authors' own split).

Each model is a logistic regression that chooses alpha by cross-validation on the 38 training
patients; its errors are counted on the 34 others.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP, SCAD
from convex_analysis import ConcaveClassifierCV

PENALTIES: dict[str, dict[str, Any]] = {
    "lasso": {"penalty": "l1"},
    "MCP": {"penalty": MCP.classical, "penalty_parameters": {"gamma": 8.0}},
    "SCAD": {"penalty": SCAD.classical, "penalty_parameters": {"a": 8.0}},
    "log": {"penalty": "log", "penalty_parameters": {"eps": 0.1}},
}


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return expression levels (72, 7129), labels -1 and 1, and which patients are for training."""
    with np.load(folder / "sparse" / "leukemia_golub.npz", allow_pickle=False) as data:
        return data["X"].astype(np.float64), data["y"].astype(np.float64), data["is_train"].astype(bool)


def model(penalty: dict[str, Any]) -> Any:
    """Return standardisation followed by logistic regression with alpha chosen by 5-fold cross-validation."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return make_pipeline(
        StandardScaler(), ConcaveClassifierCV(cv=folds, n_alphas=50, alpha_min_ratio=0.02, **penalty)
    )


def compare(folder: Path, penalties: dict[str, dict[str, Any]] = PENALTIES) -> pd.DataFrame:
    """Return for each penalty the genes kept, errors and log-loss on the test patients, and seconds."""
    X, y, train = read(folder)
    rows = []
    for name, penalty in penalties.items():
        begun = time.perf_counter()
        fitted = model(penalty).fit(X[train], y[train])
        seconds = time.perf_counter() - begun
        rows.append(
            {
                "model": name,
                "genes kept": np.count_nonzero(fitted[-1].coef_),
                "test errors": np.count_nonzero(fitted.predict(X[~train]) != y[~train]),
                "of": np.count_nonzero(~train),
                "log-loss": log_loss(y[~train], fitted.predict_proba(X[~train])),
                "seconds": seconds,
            }
        )
    return pd.DataFrame(rows).set_index("model")


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("CONCAVE_SPARSITY_DATA"))
    given = parser.parse_args()
    if given.data is None or not (given.data / "sparse" / "leukemia_golub.npz").is_file():
        parser.error(
            "name by --data or CONCAVE_SPARSITY_DATA a folder that holds sparse/leukemia_golub.npz; "
            "the file is made of golub.RData of the R package datamicroarray "
            "(github.com/ramhiser/datamicroarray): X, y as -1 and 1, and is_train, Golub's own split"
        )
    print(compare(given.data).to_string(float_format="{:.3g}".format))


if __name__ == "__main__":
    main()

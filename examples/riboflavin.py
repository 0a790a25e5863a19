"""Which genes drive riboflavin production? 71 samples, 4,088 genes: lasso beside MCP, SCAD and log.

Run ``CONCAVE_SPARSITY_DATA=... python examples/riboflavin.py``; the folder holds
``sparse/riboflavin.npz`` (Buehlmann, Kalisch and Meier 2014; X, y, and the genes' names).

Each model chooses alpha by 5-fold cross-validation inside the training part of a random split, and
is judged on the part that it has not seen; the figures are means over the splits. The genes listed
last come from a fit to all samples.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP, SCAD
from convex_analysis import ConcaveRegressorCV

PENALTIES: dict[str, dict[str, Any]] = {
    "lasso": {"penalty": "l1"},
    "MCP": {"penalty": MCP.classical, "penalty_parameters": {"gamma": 3.0}},
    "SCAD": {"penalty": SCAD.classical, "penalty_parameters": {"a": 3.7}},
    "log": {"penalty": "log", "penalty_parameters": {"eps": 0.1}},
}


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return expression levels (71, 4088), the logarithm of the production rate, and the genes' names."""
    with np.load(folder / "sparse" / "riboflavin.npz", allow_pickle=False) as data:
        X, y = data["X"].astype(np.float64), data["y"].astype(np.float64)
        return X, y, [str(name) for name in data["feature_names"]]


def model(penalty: dict[str, Any]) -> Any:
    """Return standardisation followed by the regression with alpha chosen by 5-fold cross-validation."""
    folds = KFold(5, shuffle=True, random_state=0)
    return make_pipeline(
        StandardScaler(), ConcaveRegressorCV(cv=folds, n_alphas=50, alpha_min_ratio=0.05, **penalty)
    )


def compare(
    folder: Path, n_splits: int = 10, penalties: dict[str, dict[str, Any]] = PENALTIES
) -> pd.DataFrame:
    """Return for each penalty the genes kept, squared test error, R2 and seconds: means over splits."""
    X, y, _ = read(folder)
    rows = []
    for split, (train, test) in enumerate(ShuffleSplit(n_splits, test_size=0.2, random_state=0).split(X)):
        for name, penalty in penalties.items():
            begun = time.perf_counter()
            fitted = model(penalty).fit(X[train], y[train])
            seconds = time.perf_counter() - begun
            rows.append(
                {
                    "model": name,
                    "split": split,
                    "genes kept": np.count_nonzero(fitted[-1].coef_),
                    "test error": np.mean((fitted.predict(X[test]) - y[test]) ** 2),
                    "variance of y": np.mean((y[train].mean() - y[test]) ** 2),
                    "seconds": seconds,
                }
            )
    table = pd.DataFrame(rows).groupby("model", sort=False).mean().drop(columns="split")
    table["R2"] = 1.0 - table["test error"] / table.pop("variance of y")
    return table[["genes kept", "test error", "R2", "seconds"]]


def genes(folder: Path, penalty: dict[str, Any]) -> pd.Series:
    """Return the coefficients of the genes kept in a fit to all samples, largest first."""
    X, y, names = read(folder)
    coef = model(penalty).fit(X, y)[-1].coef_
    kept = pd.Series(coef, index=names)[coef != 0]
    return kept.reindex(kept.abs().sort_values(ascending=False).index)


def main() -> None:
    """Print the comparison, and the genes that each model keeps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("CONCAVE_SPARSITY_DATA"))
    parser.add_argument("--splits", type=int, default=10)
    given = parser.parse_args()
    if given.data is None or not (given.data / "sparse" / "riboflavin.npz").is_file():
        parser.error(
            "name by --data or CONCAVE_SPARSITY_DATA a folder that holds sparse/riboflavin.npz; "
            "the file is made of riboflavin.RData of the R package "
            "hdi (CRAN): X, y, and the genes' names as feature_names"
        )
    print(compare(given.data, given.splits).to_string(float_format="{:.3g}".format))
    for name, penalty in PENALTIES.items():
        kept = genes(given.data, penalty)
        shown = ", ".join(f"{gene} {coef:+.2f}" for gene, coef in kept.head(8).items())
        print(f"\n{name} keeps {len(kept)} genes: {shown}{', ...' if len(kept) > 8 else ''}")


if __name__ == "__main__":
    main()

"""Gene expression: the examples' comparisons, and what scikit-learn's own cross-validated models do."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

import convex_report as report
import numpy as np
from convex_data import data_folder

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def real_data(name: str, quick: bool) -> dict[str, Any]:
    """Run the comparison of ``examples/<name>.py`` and the matching model of scikit-learn.

    Raises
    ------
    FileNotFoundError
        If CONCAVE_SPARSITY_DATA names no folder.
    """
    folder = data_folder()
    example = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    if name == "riboflavin":
        splits = 2 if quick else 10
        example["compare"](folder, 1)  # compiles
        table = example["compare"](folder, splits)
        peer = _lasso_cv(example, folder, splits)
        title = f"Riboflavin, 71 x 4088: means over {splits} random splits (57 to train, 14 to test)"
    else:
        example["compare"](folder)  # compiles
        table = example["compare"](folder)
        peer = _logistic_cv(example, folder)
        title = "Leukemia, 72 x 7129: 38 patients to train, 34 to test"
    rows = [{"model": model, **values} for model, values in table.to_dict("index").items()]
    rows.append(peer)
    rows = [{key: _plain(value) for key, value in row.items()} for row in rows]
    report.show(title, rows, {key: key for key in rows[0]})
    return {"title": title, "rows": rows}


def _lasso_cv(example: dict[str, Any], folder: Path, splits: int) -> dict[str, Any]:
    from sklearn.linear_model import LassoCV
    from sklearn.model_selection import KFold, ShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y, _ = example["read"](folder)
    kept, errors, variances, seconds = [], [], [], []
    for train, test in ShuffleSplit(splits, test_size=0.2, random_state=0).split(X):
        folds = KFold(5, shuffle=True, random_state=0)
        model = make_pipeline(StandardScaler(), LassoCV(alphas=50, eps=0.05, cv=folds, max_iter=100_000))
        begun = time.perf_counter()
        model.fit(X[train], y[train])
        seconds.append(time.perf_counter() - begun)
        kept.append(np.count_nonzero(model[-1].coef_))
        errors.append(np.mean((model.predict(X[test]) - y[test]) ** 2))
        variances.append(np.mean((y[train].mean() - y[test]) ** 2))
    return {
        "model": "scikit-learn LassoCV",
        "genes kept": np.mean(kept),
        "test error": np.mean(errors),
        "R2": 1 - np.mean(errors) / np.mean(variances),
        "seconds": np.mean(seconds),
    }


def _logistic_cv(example: dict[str, Any], folder: Path) -> dict[str, Any]:
    import warnings

    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y, train = example["read"](folder)
    scaled = StandardScaler().fit_transform(X[train])
    largest = np.abs(scaled.T @ (y[train] - y[train].mean())).max() / (2 * train.sum())
    alphas = np.geomspace(1.0, 0.02, 50) * largest
    model = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=1.0 / (alphas * train.sum()),
            l1_ratios=(1.0,),
            solver="liblinear",
            cv=StratifiedKFold(5, shuffle=True, random_state=0),
            scoring="neg_log_loss",
            max_iter=100_000,
            random_state=0,
        ),
    )
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[train], y[train])
    seconds = time.perf_counter() - begun
    return {
        "model": "scikit-learn LogisticRegressionCV",
        "genes kept": np.count_nonzero(model[-1].coef_),
        "test errors": np.count_nonzero(model.predict(X[~train]) != y[~train]),
        "of": np.count_nonzero(~train),
        "log-loss": log_loss(y[~train], model.predict_proba(X[~train])),
        "seconds": seconds,
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

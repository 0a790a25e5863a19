"""Data of the convex benchmarks: Gaussian and sparse designs, and real sets from the data folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def correlated_design(
    n_samples: int, n_features: int, rho: float, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Gaussian columns of variance 1 with correlation ``rho^|i-j|``, Fortran order, float64."""
    X = np.empty((n_samples, n_features), order="F")
    sigma = np.sqrt(1.0 - rho * rho)
    column = rng.standard_normal(n_samples)
    X[:, 0] = column
    for j in range(1, n_features):
        column = rho * column + sigma * rng.standard_normal(n_samples)
        X[:, j] = column
    return X


def regression_data(
    n_samples: int = 500,
    n_features: int = 5000,
    *,
    rho: float = 0.5,
    n_nonzero: int = 100,
    snr: float = 5.0,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Design, and targets of a Gaussian sparse vector with ``||X x|| / ||noise|| = snr``."""
    rng = np.random.default_rng(seed)
    X = correlated_design(n_samples, n_features, rho, rng)
    x = np.zeros(n_features)
    x[rng.choice(n_features, n_nonzero, replace=False)] = rng.standard_normal(n_nonzero)
    return X, _noisy(X @ x, snr, rng)


def classification_data(**settings: Any) -> tuple[Any, Any]:
    """Design of `regression_data`, and the signs of its targets as labels -1 and 1."""
    X, y = regression_data(**settings)
    return X, np.where(y > 0, 1.0, -1.0)


def mask_data(
    n_samples: int = 500,
    n_features: int = 2000,
    *,
    rho: float = 0.5,
    n_nonzero: int = 100,
    snr: float = 5.0,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Design, and targets of a binary mask with ``||X m|| / ||noise|| = snr``."""
    rng = np.random.default_rng(seed)
    X = correlated_design(n_samples, n_features, rho, rng)
    mask = np.zeros(n_features)
    mask[rng.choice(n_features, n_nonzero, replace=False)] = 1.0
    return X, _noisy(X @ mask, snr, rng)


def sparse_regression_data(
    n_samples: int, n_features: int, *, per_column: int = 10, n_nonzero: int = 100, seed: int = 0
) -> tuple[Any, Any]:
    """CSC design, ``per_column`` Gaussian entries a column, and targets at signal-to-noise ratio 5."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    rows = rng.integers(0, n_samples, (n_features, per_column))
    rows.sort(axis=1)
    indptr = np.arange(0, n_features * per_column + 1, per_column)
    entries = rng.standard_normal(rows.size)
    X = sparse.csc_matrix((entries, rows.ravel(), indptr), shape=(n_samples, n_features))
    X.sum_duplicates()
    x = np.zeros(n_features)
    x[rng.choice(n_features, n_nonzero, replace=False)] = rng.standard_normal(n_nonzero)
    return X, _noisy(X @ x, 5.0, rng)


def _noisy(signal: Any, snr: float, rng: np.random.Generator) -> Any:
    noise = rng.standard_normal(signal.size)
    return signal + noise * (np.linalg.norm(signal) / (snr * np.linalg.norm(noise)))


def data_folder() -> Path:
    """Return the folder named by CONCAVE_SPARSITY_DATA.

    Raises
    ------
    FileNotFoundError
        If the variable is not set or names no folder.
    """
    named = os.environ.get("CONCAVE_SPARSITY_DATA")
    if not named or not Path(named).is_dir():
        raise FileNotFoundError(
            "set CONCAVE_SPARSITY_DATA to the folder of data sets (real data are left out)"
        )
    return Path(named)


def newsgroups(target: int = 0) -> tuple[Any, Any]:
    """20 newsgroups, training part: CSC (11,314 x 130,107), rows of unit norm; one class against the rest."""
    from scipy import sparse

    with np.load(data_folder() / "sparse" / "news20_bydate_counts.npz", allow_pickle=False) as z:
        indptr = z["train_indptr"]
        shape = (indptr.size - 1, int(z["n_features"]))
        counts = sparse.csr_matrix(
            (z["train_data"].astype(np.float64), z["train_indices"], indptr), shape=shape
        )
        labels = z["train_y"]
    norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    X = sparse.diags_array(1.0 / np.where(norms > 0, norms, 1.0)) @ counts
    X = sparse.csc_matrix(X)
    X.sort_indices()
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, np.where(labels == target, 1.0, -1.0)

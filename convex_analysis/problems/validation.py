"""Checks of what a user passes to a problem: each fault gets one sentence with the value and the remedy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from convex_analysis.design import Indices
from convex_analysis.losses.loss import Vector

COPY_WARNING_BYTES = 1 << 24
"""Conversions of X larger than this (16 MiB) are announced by a CopyWarning."""


class CopyWarning(UserWarning):
    """X had to be copied once, because of its dtype or its memory order."""


def check_design(X: Any) -> Any:
    """Return X as a dense float32/float64 array or a CSC matrix, finite, copied only if it must be.

    Whether its entries are finite is left to the problem, which sees it in a product it needs anyway.
    """
    original = X
    X = _check_sparse(X) if hasattr(X, "tocsc") and hasattr(X, "nnz") else _check_dense(X)
    shape = X.shape
    if shape[0] == 0 or shape[1] == 0:
        raise ValueError(f"X is empty, of shape {shape}: at least one sample and one feature are needed.")
    if isinstance(original, np.ndarray) or X is not original:
        _announce_copy(original, X)
    return X


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype == np.float16:
        raise TypeError("X is float16, too coarse to solve with: convert it, X.astype(np.float32).")
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise TypeError(f"X has dtype {dtype}: pass real numbers, for instance X.astype(np.float64).")


def _as_array(value: Any, name: str) -> Any:
    """Return an array, or say that there is none: lists of unequal length, masked entries."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries: impute them, or leave out their samples.")
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} makes no array of numbers: its rows or entries are not alike.") from error


def _check_dense(X: Any) -> Any:
    X = _as_array(X, "X")
    _check_dtype(X.dtype)
    if X.ndim != 2:
        remedy = "reshape a single feature with X.reshape(-1, 1)" if X.ndim == 1 else "pass a matrix"
        raise ValueError(f"X must have two dimensions (samples, features), got shape {X.shape}: {remedy}.")
    if X.dtype not in (np.float32, np.float64) or not X.dtype.isnative:
        X = X.astype(np.float64)
    if not (X.flags.c_contiguous or X.flags.f_contiguous):
        X = np.asfortranarray(X)
    return X


def _check_sparse(X: Any) -> Any:
    _check_dtype(X.dtype)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions (samples, features), got shape {X.shape}.")
    if X.format != "csc":
        X = X.tocsc()
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _announce_copy(original: Any, X: Any) -> None:
    if isinstance(X, np.ndarray):
        copied = isinstance(original, np.ndarray) and not np.may_share_memory(original, X)
        size, kind = X.nbytes, "a C- or Fortran-ordered float32 or float64 array"
    else:
        copied = X is not original
        size, kind = X.data.nbytes + X.indices.nbytes, "a CSC matrix of float32 or float64 without duplicates"
    if copied and size > COPY_WARNING_BYTES:
        message = f"X was copied once ({size / 2**20:.0f} MiB); pass {kind} to avoid it."
        warnings.warn(message, CopyWarning, stacklevel=4)


def require_finite(values: Any, name: str) -> None:
    """Raise a ValueError if an entry is NaN or infinite."""
    # A sum is finite only if no entry is NaN or infinite, or if it overflows: then look closer.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.sum(values, dtype=np.float64)
    if not np.isfinite(total) and not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinity: remove or impute those entries.")


def check_vector(value: Any, name: str, size: int, what: str) -> Vector:
    """Return a finite float64 vector of the size wanted; a scalar is not broadcast."""
    vector = _as_array(value, name)
    if vector.dtype.kind not in "fiub" or vector.dtype == np.float16:
        raise TypeError(f"{name} has dtype {vector.dtype}: pass real numbers, for instance as float64.")
    if vector.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), one entry a {what}; got shape {vector.shape}.")
    vector = np.array(vector, dtype=np.float64)
    require_finite(vector, name)
    return vector


def check_bounds(lower: Any, upper: Any, n_features: int) -> tuple[Vector, Vector]:
    """Return both bounds as float64 vectors, ``lower <= upper``; scalars are broadcast, inf allowed."""
    bounds = []
    for value, name in ((lower, "lower"), (upper, "upper")):
        bound = _as_array(value, name)
        if bound.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {bound.dtype}: pass numbers, a scalar or one a feature.")
        if bound.ndim and bound.shape != (n_features,):
            raise ValueError(
                f"{name} must be a scalar or have shape ({n_features},), got shape {bound.shape}."
            )
        bound = np.array(np.broadcast_to(bound, (n_features,)), dtype=np.float64)
        if np.isnan(bound).any():
            raise ValueError(f"{name} contains NaN: use -inf or inf for a bound that is absent.")
        bounds.append(bound)
    low, high = bounds
    wrong = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
    if wrong.size:
        j = wrong[0]
        raise ValueError(f"No value lies between lower = {low[j]:g} and upper = {high[j]:g} (feature {j}).")
    return low, high


def check_lam(lam: Any) -> float:
    """Return lam as a float, finite and not negative."""
    if isinstance(lam, bool) or not isinstance(lam, int | float | np.integer | np.floating):
        raise TypeError(f"lam must be a real number, got {lam!r}.")
    if not (np.isfinite(lam) and lam >= 0):
        raise ValueError(f"lam must be finite and not negative, got {lam!r}.")
    return float(lam)


def check_flag(value: Any, name: str) -> bool:
    """Return True or False as given; nothing else stands for them."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_point(x: Any, n_features: int, name: str = "x") -> Vector:
    """Return a point as a float64 vector of the size wanted, without NaN."""
    point = _as_array(x, name)
    if point.dtype.kind not in "fiub" or point.shape != (n_features,):
        raise ValueError(
            f"{name} must be a vector of numbers of shape ({n_features},), one a feature; "
            f"got shape {point.shape} and dtype {point.dtype}."
        )
    if np.isnan(point).any():
        raise ValueError(f"{name} contains NaN (entry {np.flatnonzero(np.isnan(point))[0]}).")
    vector: Vector = point.astype(np.float64, copy=False)
    return vector


def check_sample_weight(sample_weight: Any, n_samples: int) -> Vector | None:
    """Return the weights divided by their sum, or None for equal weights."""
    if sample_weight is None:
        return None
    weight = check_vector(sample_weight, "sample_weight", n_samples, "sample")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min():g}.")
    largest = weight.max()
    if largest <= 0:
        raise ValueError("sample_weight sums to zero: at least one sample must count.")
    if largest > 1e300:  # common factors have no effect, but their sum must not overflow
        weight = weight / largest
    total = weight.sum()
    normalised: Vector = weight / total
    return normalised


def check_penalty_factor(factor: Any, size: int, what: str = "feature") -> Vector | None:
    """Return the penalty factors as a vector, or None for the default; zero leaves a feature unpenalised."""
    if factor is None:
        return None
    vector = check_vector(factor, "penalty_factor", size, what)
    if (vector < 0).any():
        raise ValueError(f"penalty_factor must not be negative, got {vector.min():g}.")
    return vector


def exclude_columns(
    penalty_factor: Any, lower: Any, upper: Any, n_features: int
) -> tuple[Vector | None, Any, Any]:
    """Return penalty factors and bounds in which an infinite factor has become the box [0, 0].

    Raises
    ------
    ValueError
        If the box of such a feature does not hold zero.
    """
    infinite = None if penalty_factor is None else np.isposinf(_as_array(penalty_factor, "penalty_factor"))
    if infinite is None or not infinite.any() or infinite.shape != (n_features,):
        return check_penalty_factor(penalty_factor, n_features), lower, upper
    low, high = check_bounds(lower, upper, n_features)
    wrong = np.flatnonzero(infinite & ((low > 0.0) | (high < 0.0)))
    if wrong.size:
        j = wrong[0]
        raise ValueError(
            f"penalty_factor leaves feature {j} out, but its box [{low[j]:g}, {high[j]:g}] excludes zero."
        )
    factor = check_penalty_factor(np.where(infinite, 1.0, penalty_factor), n_features)
    return factor, np.where(infinite, 0.0, low), np.where(infinite, 0.0, high)


def exclude_groups(
    penalty_factor: Any, lower: Any, upper: Any, group: Indices
) -> tuple[Vector, Vector, Vector]:
    """Return factors and bounds, one a feature: an infinite factor of a group has become the box [0, 0].

    Without factors they are the roots of the groups' sizes.
    """
    sizes = np.bincount(group)
    low, high = check_bounds(lower, upper, group.size)
    refuse_bounds_of_groups(low, high)
    if penalty_factor is None:
        return np.sqrt(sizes)[group], low, high
    given = _as_array(penalty_factor, "penalty_factor")
    infinite = np.isposinf(given) if given.dtype.kind == "f" else np.zeros(given.shape, dtype=bool)
    factor = check_penalty_factor(np.where(infinite, 1.0, given), sizes.size, "group")
    assert factor is not None
    out = infinite[group]
    return factor[group], np.where(out, 0.0, low), np.where(out, 0.0, high)


def check_weights(weights: Any, n_features: int) -> Vector:
    """Return the weights of a convex step as a float64 vector, not negative; inf is allowed."""
    given = _as_array(weights, "weights")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"weights has dtype {given.dtype}: pass real numbers, one a feature.")
    vector: Vector = given.astype(np.float64, copy=False)
    if vector.shape != (n_features,):
        raise ValueError(
            f"weights must have shape ({n_features},), one entry a feature; got shape {vector.shape}."
        )
    wrong = np.flatnonzero(~(vector >= 0))
    if wrong.size:
        raise ValueError(
            f"weights must not be negative or NaN, got {vector[wrong[0]]:g} (feature {wrong[0]})."
        )
    return vector


def check_ridge(ridge: Any, n_features: int) -> Vector | None:
    """Return the ridge coefficients, one a feature and not negative, or None where all are zero."""
    given = _as_array(ridge, "ridge")
    if given.dtype.kind not in "fiu":
        raise TypeError(f"ridge must be a number, or one a feature; got {ridge!r}.")
    if given.ndim and given.shape != (n_features,):
        raise ValueError(f"ridge must be a scalar or have shape ({n_features},), got shape {given.shape}.")
    vector = np.array(np.broadcast_to(given, (n_features,)), dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(vector) & (vector >= 0.0)))
    if wrong.size:
        raise ValueError(f"ridge must be finite and not negative, got {vector[wrong[0]]:g}.")
    return vector if vector.any() else None


def check_groups(groups: Any, n_features: int) -> Indices:
    """Return the group of each feature, numbered from 0 in the order of the sorted labels.

    Labels come one a feature; or else each group as a list of its features' indices.
    """
    if isinstance(groups, list | tuple) and groups and isinstance(groups[0], list | tuple | np.ndarray):
        group = np.full(n_features, -1, dtype=np.intp)
        for number, members in enumerate(groups):
            places = np.asarray(members)
            if places.dtype.kind not in "iu" or places.ndim != 1 or not places.size:
                raise ValueError(f"Group {number} must be a list of features' indices, got {members!r}.")
            outside = places[(places < 0) | (places >= n_features)]
            if outside.size:
                raise ValueError(
                    f"Group {number} names feature {outside[0]} of {n_features}, counted from 0."
                )
            taken = places[group[places] >= 0]
            if taken.size or np.unique(places).size < places.size:
                j = int(taken[0]) if taken.size else int(places[0])
                raise ValueError(
                    f"Groups overlap: feature {j} is named twice. Give each group a copy of the column, "
                    "X[:, indices], and number the copies."
                )
            group[places] = number
        if (group < 0).any():
            j = int(np.flatnonzero(group < 0)[0])
            raise ValueError(f"Feature {j} is in no group: give it one of its own.")
        return group
    labels = _as_array(groups, "groups")
    if labels.shape != (n_features,):
        raise ValueError(
            f"groups must have shape ({n_features},), one label a feature, or be a list of lists of indices; "
            f"got shape {labels.shape}."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("groups contains NaN or infinity: give every feature a label.")
    group = np.unique(labels, return_inverse=True)[1].astype(np.intp)
    return group


def refuse_bounds_of_groups(lower: Vector, upper: Vector) -> None:
    """Refuse bounds of coordinates whose group's norm is penalised."""
    if np.isfinite(lower).any() or np.isfinite(upper).any():
        raise ValueError(
            "Groups of a RegressionProblem have no bounds: leave lower and upper out, or state a "
            "MaskProblem, which has one bounded entry a group."
        )

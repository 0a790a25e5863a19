"""Reads X, y and masks from CSV, npy and npz files; nothing that a file holds is ever executed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_design(source: str) -> tuple[Any, list[str]]:
    """Return X and the names of its features ("0", "1", ... where the file has none).

    Parameters
    ----------
    source
        A CSV file (with or without a line of names; a first column without a name holds labels of the
        rows and is left out), an npy file, an npz file with the key "X" (or
        "x", or a single array; ``file.npz:key`` names another), or a sparse matrix saved by
        ``scipy.sparse.save_npz``.

    Raises
    ------
    FileNotFoundError, ValueError
        One sentence with the file and the remedy.
    """
    path, key = _split(source)
    if path.suffix.lower() == ".csv":
        names, table = _read_csv(path)
        return table, names
    if path.suffix == ".npz" and key is None and _is_sparse(path):
        from scipy import sparse

        X = sparse.load_npz(path)
    else:
        X = _read_array(path, key, ("X", "x"))
    if X.ndim != 2:
        raise ValueError(f"{source}: X must have two dimensions (samples, features), it has shape {X.shape}.")
    return X, [str(j) for j in range(X.shape[1])]


def read_vector(source: str, default_keys: tuple[str, ...]) -> NDArray[Any]:
    """Return a vector from a CSV file of one column, an npy file, or an npz file with one of the keys."""
    path, key = _split(source)
    values = _read_csv(path)[1] if path.suffix.lower() == ".csv" else _read_array(path, key, default_keys)
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim != 1:
        raise ValueError(f"{source}: one column is wanted, it has shape {values.shape}.")
    return values


def read_data(x: str, y: str) -> tuple[Any, NDArray[Any], list[str]]:
    """Return X, y and the features' names; y is a file, or the name of a column of the CSV file x.

    Raises
    ------
    FileNotFoundError, ValueError
        One sentence with the file and the remedy.
    """
    X, names = read_design(x)
    is_column = _split(x)[0].suffix.lower() == ".csv" and not _split(y)[0].exists()
    if not is_column:
        return X, read_vector(y, ("y",)), names
    if y not in names:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise ValueError(f"{y!r} is neither a file nor a column of {x}; its columns are {shown}.")
    j = names.index(y)
    return np.delete(X, j, axis=1), X[:, j], names[:j] + names[j + 1 :]


def _split(source: str) -> tuple[Path, str | None]:
    """Split ``file.npz:key``."""
    head, separator, key = source.rpartition(":")
    if separator and head.endswith(".npz"):
        return Path(head), key
    return Path(source), None


def _is_sparse(path: Path) -> bool:
    with _open(path) as stored:
        return set(stored.files) >= {"format", "shape", "data"}


def _open(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}.")
    try:
        if path.suffix == ".npz" and not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile  # before NumPy opens the file, which it would leave open
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        kind = path.suffix.lstrip(".")
        raise ValueError(
            f"{path} is not a whole {kind} file of plain numbers: write it anew by numpy.save"
            f"{'z' if kind == 'npz' else ''}."
        ) from None


def _read_array(path: Path, key: str | None, default_keys: tuple[str, ...]) -> NDArray[Any]:
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path}: pass a file that ends in .csv, .npy or .npz.")
    stored = _open(path)
    if isinstance(stored, np.ndarray):
        return stored
    with stored:
        found = [key] if key else [one for one in default_keys if one in stored.files][:1]
        if not found and len(stored.files) == 1:
            found = list(stored.files)
        if not found or found[0] not in stored.files:
            held = ", ".join(stored.files)
            wanted = repr(key) if key else " or ".join(repr(one) for one in default_keys)
            raise ValueError(f"{path} has no array {wanted}; it holds {held}. Name one: {path}:KEY.")
        try:
            array: NDArray[Any] = stored[found[0]]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
            raise ValueError(
                f"{path}: the array {found[0]!r} is damaged or not of plain numbers: write it anew."
            ) from None
        return array


def _read_csv(path: Path) -> tuple[list[str], NDArray[Any]]:
    """Return names and numbers; a first line of numbers alone is data, not names."""
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}.")
    try:
        first = pd.read_csv(path, header=None, nrows=1, dtype=str)
        named = not all(_is_number(cell) for cell in first.iloc[0])
        labelled = named and first.shape[1] > 1 and bool(first.isna().iloc[0, 0])
        table = pd.read_csv(path, header=0 if named else None, index_col=0 if labelled else None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as reason:
        told = str(reason).strip().removeprefix("Error tokenizing data. C error: ")
        raise ValueError(f"{path} is no table in CSV: {told}.") from None
    wrong = [str(name) for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise ValueError(
            f"{path}: column {wrong[0]!r} holds text; drop it, or code it in numbers "
            f"({len(wrong)} such column{'s' if len(wrong) > 1 else ''})."
        )
    return [str(name) for name in table.columns], table.to_numpy(dtype=np.float64)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True

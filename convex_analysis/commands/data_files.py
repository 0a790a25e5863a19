"""Reads X, y and masks from CSV, npy and npz files; nothing that a file holds is ever executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
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
    if _is_table(path):
        names, table = _numbers(path, _read_table(path))
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
    if _is_table(path):
        table = _read_table(path)
        values = table.to_numpy() if table.shape[1] == 1 else _numbers(path, table)[1]
        if table.shape[1] == 1 and table.isna().to_numpy().any():
            _refuse_missing(path, str(table.columns[0]), int(np.flatnonzero(table.isna().to_numpy())[0]))
    else:
        values = _read_array(path, key, default_keys)
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim != 1:
        raise ValueError(f"{source}: one column is wanted, it has shape {values.shape}.")
    return values


def read_data(
    x: str, y: str, drop: Sequence[str] = (), offset: str | None = None
) -> tuple[Any, NDArray[Any], list[str], NDArray[Any] | None]:
    """Return X, y, the features' names, and the offset; y and offset may be columns of the CSV file x.

    Parameters
    ----------
    x, y, offset
        Sources.
    drop
        Columns of the CSV file x to leave out.

    Raises
    ------
    FileNotFoundError, ValueError
        One sentence with the file and the remedy.
    """
    path = _split(x)[0]
    columns: dict[str, NDArray[Any]] = {}
    if _is_table(path):
        table = _read_table(path)
        for name in drop:
            _column_of(table, x, name, "--drop ")
        for source in (y, offset):
            if source is not None and not _split(source)[0].exists():
                columns[source] = _column_of(table, x, source)
        left_out = {*drop, *columns}
        names, X = _numbers(path, table[[name for name in table.columns if str(name) not in left_out]])
    elif drop:
        raise ValueError(f"--drop names columns of a CSV file; {x} is none.")
    else:
        X, names = read_design(x)

    def vector(source: str, key: str) -> NDArray[Any]:
        return columns[source] if source in columns else read_vector(source, (key,))

    return X, vector(y, "y"), names, None if offset is None else vector(offset, "offset")


def _column_of(table: Any, x: str, name: str, option: str = "") -> NDArray[Any]:
    """Return a column of the table of the file x."""
    own = [str(column) for column in table.columns]
    if name not in own:
        shown = ", ".join(own[:8]) + (", ..." if len(own) > 8 else "")
        if option:
            raise ValueError(f"{option}{name}: {x} has no such column; its columns are {shown}.")
        raise ValueError(f"{name!r} is neither a file nor a column of {x}; its columns are {shown}.")
    column = table.iloc[:, own.index(name)]
    if not option and column.isna().any():
        _refuse_missing(_split(x)[0], name, int(np.flatnonzero(column.isna())[0]))
    values: NDArray[Any] = column.to_numpy()
    return values


def read_labels(y: NDArray[Any], loss: str, source: str) -> tuple[NDArray[np.float64], str]:
    """Return targets as numbers, and how labels were coded in words ("" where nothing was).

    For a loss of two classes two labels of any kind become -1 and 1, the second in order being 1.

    Raises
    ------
    ValueError
        If y holds text and the loss wants numbers, or if there are not two labels.
    """
    text = y.dtype.kind not in "biuf"
    if loss not in ("logistic", "squared-hinge"):
        if text:
            raise ValueError(
                f"{source}: y holds text (such as {str(y[0])!r}), the {loss} loss wants numbers: use "
                "--loss logistic for two labels."
            )
        return y.astype(np.float64), ""
    labels = np.unique(y.astype(str) if text else y)
    if labels.size != 2:
        shown = ", ".join(str(label) for label in labels[:5]) + (", ..." if labels.size > 5 else "")
        raise ValueError(f"{source}: the {loss} loss needs two labels; y holds {labels.size}: {shown}.")
    coded = np.where((y.astype(str) if text else y) == labels[1], 1.0, -1.0)
    known = not text and set(labels.tolist()) in ({0, 1}, {-1, 1})
    return coded, "" if known else f"{labels[1]} is 1, {labels[0]} is -1"


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
        raise ValueError(f"{path}: pass a file that ends in .csv, .tsv, .txt, .npy or .npz.")
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


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


def _separator(path: Path) -> str:
    """Return what separates the cells of a table: whatever the first line has most of, in this order."""
    with open(path, encoding="utf-8-sig") as stream:
        line = stream.readline()
    for one in (";", "\t"):  # a comma may be the decimal sign, and then there are more of them
        cells = line.strip().split(one)
        if len(cells) > 1 and all(_is_number(cell.strip().replace(",", ".")) for cell in cells):
            return one
    counts = {one: line.count(one) for one in (",", ";", "\t", "|")}
    best = max(counts, key=lambda one: counts[one])
    if counts[best]:
        return best
    return r"\s+" if len(line.split()) > 1 else ","


def _read_table(path: Path) -> Any:
    """Return a table with its names; a first line of numbers alone is data, not names.

    Raises
    ------
    FileNotFoundError, ValueError
        One sentence with the file and the remedy.
    """
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}.")
    try:
        separator = _separator(path)
        # Spreadsheets write so where the comma is the decimal sign.
        decimal = "," if separator in (";", "\t") else "."
        options: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig"}
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, **options)
        named = not all(_is_number(str(cell).replace(decimal, ".")) for cell in first.iloc[0])
        labelled = named and first.shape[1] > 1 and bool(first.isna().iloc[0, 0])
        header, index = 0 if named else None, 0 if labelled else None
        table = pd.read_csv(path, header=header, index_col=index, **options)
        if decimal == "," and any(not pd.api.types.is_numeric_dtype(table[name]) for name in table.columns):
            table = pd.read_csv(path, header=header, index_col=index, decimal=decimal, **options)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty: write it anew, a line a sample.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8: save it again in that encoding.") from None
    except pd.errors.ParserError as reason:
        told = str(reason).strip().removeprefix("Error tokenizing data. C error: ")
        raise ValueError(f"{path} is no table in CSV: {told}.") from None
    if not len(table):
        raise ValueError(f"{path} has a line of names and no data under it.")
    return table


def _numbers(path: Path, table: Any) -> tuple[list[str], NDArray[np.float64]]:
    """Return names and numbers of a table whose columns are all numbers, none of them missing."""
    import pandas as pd

    wrong = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        column = table[wrong[0]]
        kind = "identifiers, by the look of it" if column.nunique() == len(column) > 1 else "text"
        more = f"; so do {len(wrong) - 1} more columns" if len(wrong) > 1 else ""
        raise ValueError(
            f"{path}: column {str(wrong[0])!r} holds text ({kind}, such as {str(column.iloc[0])!r}){more}: "
            f"leave it out by --drop {wrong[0]}, or code it in numbers."
        )
    values = table.to_numpy(dtype=np.float64)
    missing = np.argwhere(~np.isfinite(values))
    if missing.size:
        row, column = missing[0]
        _refuse_missing(path, str(table.columns[column]), int(row), len(missing))
    return [str(name) for name in table.columns], values


def _refuse_missing(path: Path, column: str, row: int, count: int = 1) -> None:
    more = f" ({count} such entries in all)" if count > 1 else ""
    raise ValueError(
        f"{path}: row {row + 1} of the data has no finite number in column {column!r}{more}: fill it in or "
        "leave the row out."
    )


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True

"""Where data sets lie: a folder given, else one named by the environment, else a cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from nets.data.source import Source

VARIABLE = "CONCAVE_SPARSITY_DATA"


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return `data_dir`, else $CONCAVE_SPARSITY_DATA, else concave-sparsity in the user's cache folder."""
    if data_dir is not None:
        return Path(data_dir).expanduser()
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "concave-sparsity"


def find(source: Source, root: Path) -> Path | None:
    """Return the folder below `root` that holds every file of `source`, gzip-compressed or plain, or None."""
    for name in source.folders:
        folder = root / name
        if all(
            (folder / f.name).is_file() or (folder / f.name.removesuffix(".gz")).is_file()
            for f in source.files
        ):
            return folder
    return None

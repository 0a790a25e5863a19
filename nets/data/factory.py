"""Find what the user names as "package.module:name"."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def is_import_path(spec: str) -> bool:
    """Tell whether `spec` has the form "package.module:name"."""
    module, colon, name = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def import_object(spec: str) -> Any:
    """Return the object that "package.module:name" names; modules of the working folder are found too.

    Raises
    ------
    ValueError
        If the module cannot be found or has no such name. An error raised inside the module comes through.
    """
    if not is_import_path(spec):
        raise ValueError(f"{spec!r} must have the form 'package.module:name'")
    module_name, _, name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise ValueError(
            f"there is no module {error.name!r} for {spec!r}; looked in {here} and installed packages"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found

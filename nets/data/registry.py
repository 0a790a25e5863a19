"""The data sets known by name."""

from __future__ import annotations

from nets.data import digits, mnist
from nets.data.source import Source

SOURCES: dict[str, Source] = {source.name: source for source in (digits.SOURCE, mnist.SOURCE)}


def source(name: str) -> Source:
    """Return the named data set's source; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in SOURCES:
        raise ValueError(
            f"unknown data set {name!r}; choose one of {', '.join(SOURCES)}, or give 'package.module:factory'"
        )
    return SOURCES[key]

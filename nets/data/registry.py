"""The data sets known by name."""

from __future__ import annotations

from nets.data import cifar10, cifar100, digits, fashion_mnist, mnist, tiny_imagenet
from nets.data.source import Source

SOURCES: dict[str, Source] = {
    module.SOURCE.name: module.SOURCE
    for module in (digits, mnist, fashion_mnist, cifar10, cifar100, tiny_imagenet)
}


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
            f"unknown data set {name!r}; choose one of {', '.join(SOURCES)}, or give the path of an "
            "image folder or 'package.module:factory'"
        )
    return SOURCES[key]

"""The data sets known by name."""

from __future__ import annotations

from nets.data import cifar10, cifar100, digits, fashion_mnist, mnist, tiny_imagenet
from nets.data.source import Source
from nets.registry import data_sets

SOURCES: dict[str, Source] = {
    module.SOURCE.name: module.SOURCE
    for module in (digits, mnist, fashion_mnist, cifar10, cifar100, tiny_imagenet)
}


def source(name: str) -> Source:
    """Return the named data set's source; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown, or is that of a factory of the user's.
    """
    found = data_sets.find(name)
    if not isinstance(found, Source):
        raise ValueError(f"{name!r} is made by a factory: it has no files to list")
    return found

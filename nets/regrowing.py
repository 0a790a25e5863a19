"""Tickets from sparse-to-sparse training with regrowth (SET and RigL differ in where they grow)."""

from __future__ import annotations

from collections.abc import Iterable

from nets import criteria
from nets.distributions import select
from nets.dynamic_sparsity import Regrowth
from nets.masking.course import Setting
from nets.methods.method import Option
from nets.search import Found, Search

OPTIONS = (
    Option("drop", 0.3, "share of a layer's weights dropped at the first update; it falls along a cosine"),
    Option("end", 0.75, "share of the training after which the connections stay"),
    Option("updates", 50, "number of updates until then"),
    Option("distribution", "erk", "how weights are shared out over layers: uniform or erk"),
)


def regrowth(setting: Setting, density: float, grow: str) -> Regrowth:
    """Return the hook; see `find_by_regrowth`."""
    o = setting.options
    start = select(criteria.random(setting), setting.layout, setting.count(density), o["distribution"])
    return Regrowth(start, grow, o["drop"], o["end"], o["updates"])


def find_by_regrowth(search: Search, grow: str) -> Iterable[Found]:
    """Train once for every density from a random mask of that density, dropping and growing weights.

    Parameters
    ----------
    search : Search
        With the `OPTIONS` above.
    grow : str
        "gradient" or "random"; see `nets.dynamic_sparsity.Regrowth`.
    """

    def one(density: float) -> Found:
        hook = regrowth(search, density, grow)
        search.train(hook)
        report = search.reported()
        return search.found(hook.mask, density, report=report)

    return search.each(one)

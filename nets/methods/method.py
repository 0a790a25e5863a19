"""What a method of finding tickets is: a search and what is to be known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nets import registry
from nets.configuration import Scalar
from nets.granularity.names import granularity_kind
from nets.search import Found, Search


@dataclass(frozen=True)
class Option:
    """An option of a method.

    Parameters
    ----------
    name : str
        Its name.
    default : bool, int, float or str
        Its default, which also fixes its type.
    help : str
        What it does, in one sentence.
    """

    name: str
    default: Scalar
    help: str

    def parse(self, value: Any) -> Scalar:
        """Return the value in the option's type.

        Raises
        ------
        ValueError
            If it cannot be read as one.
        """
        kind = type(self.default)
        try:
            if kind is bool and isinstance(value, str):
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                    value.lower()
                ]
            if kind is int and float(value) != int(float(value)):
                raise ValueError
            return kind(float(value)) if kind is int else kind(value)
        except (KeyError, ValueError, TypeError):
            raise ValueError(f"option {self.name} takes a {kind.__name__}, got {value!r}") from None


#: An option of many methods.
DISTRIBUTION = Option(
    "distribution", "global", "how weights are shared out over layers: global, uniform or erk"
)


@dataclass(frozen=True)
class Method:
    """A method of finding tickets, composed of functions; those that come along lie in `nets.methods`.

    Parameters
    ----------
    name : str
        Name on the command line and in results.
    summary : str
        What it does, in one line.
    reference : str
        Paper.
    mask : callable, optional
        (setting, density) -> the hook that carries the method's mask through one training, for
        `nets.Masking`; None: the method needs more than one training, or acts on the loss.
    find : callable
        Takes the `Search` and returns (or yields) one `Found` for every density in ``search.densities``, in
        that order.
    cost : callable
        (density, epochs of one training, options) -> epochs that the search for this density needs.
    needs : tuple of str
        What it needs beyond a network and data: "penalty", "gradients", "second derivatives", ...
    options : tuple of Option
        Its options.
    chain : bool
        Whether densities share work: they are then searched together.
    fixed_density : float or None
        For methods that cannot choose: the density they always have (dense: 1).
    granularities : tuple of str
        What may share a mask entry: "weight", "n:m", "block", "channel" (`nets.granularity`). A method that
        chooses its mask by `nets.masking.selection.select` can do N:M; one whose scores are entries', too,
        blocks and channels.
    density_follows : callable
        (options) -> whether with these options the density follows from them instead of being asked for.
    revision : int
        How often the method has changed what it computes with equal settings: runs stored before are left out
        and computed anew.
    """

    name: str
    summary: str
    reference: str
    find: Callable[[Search], Iterable[Found]]
    cost: Callable[[float, float, Mapping[str, Any]], float]
    mask: Callable[[Any, float], Any] | None = None
    needs: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    chain: bool = False
    fixed_density: float | None = None
    granularities: tuple[str, ...] = ("weight", "n:m")
    density_follows: Callable[[Mapping[str, Any]], bool] = lambda options: False
    revision: int = 0

    def refuse(self, granularity: str) -> None:
        """Raise ValueError if the method cannot find tickets of this granularity."""
        if granularity_kind(granularity) not in self.granularities:
            able = ", ".join(self.granularities)
            raise ValueError(
                f"method {self.name} cannot prune by {granularity}; its granularities are {able}"
            )

    def settle(self, given: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return all options, those given in their right types and the others at their defaults.

        Raises
        ------
        ValueError
            If an option is unknown or has a wrong value.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise ValueError(
                    f"method {self.name} has no option {name!r}; it takes {', '.join(known) or 'none'}"
                )
        return {n: option.parse(given[n]) if n in given else option.default for n, option in known.items()}


def method(name: str | Method) -> Method:
    """Return the method of a name or of "package.module:METHOD"; a Method is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown (the nearest one is suggested), or is that of something else.
    """
    if isinstance(name, Method):
        return name
    found = registry.methods.find(name)
    if not isinstance(found, Method):
        raise ValueError(f"{name!r} is a {type(found).__name__}, not a nets.methods.Method")
    return found


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, those that come along first, in alphabetical order."""
    return registry.methods.names()


def methods() -> tuple[Method, ...]:
    """Return all methods known by name."""
    return tuple(method(name) for name in method_names())

"""The penalty of an estimator: an object, a name with parameters, or a function of alpha."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from concave_sparsity import Penalty, penalty_from_name
from convex_analysis.problems import Problem

PenaltyLike = Penalty | str | Callable[..., Penalty]


def penalty_at(
    penalty: PenaltyLike, parameters: Mapping[str, Any] | None, alpha: float
) -> tuple[Penalty, float]:
    """Return the penalty object, and the lam to use it with, for an estimator's ``alpha``.

    Parameters
    ----------
    penalty
        A `Penalty` or the name of one: then lam is alpha. Or a function that is called as
        ``penalty(alpha, **parameters)`` and returns a penalty with alpha in it, such as
        ``MCP.classical``: then lam is 1.
    parameters
        Parameters of the named penalty or of the function.
    alpha
        Strength; with a function it must be positive, since it may scale the argument.

    Raises
    ------
    ValueError, TypeError
        If the name or a parameter is unknown or wrong, if a penalty object comes with
        parameters, or if the function returns something else than a penalty.
    """
    given = dict(parameters or {})
    if isinstance(penalty, str):
        return penalty_from_name(penalty, **given), alpha
    if isinstance(penalty, Penalty):
        if given:
            raise ValueError(
                f"penalty_parameters {given!r} go with a penalty's name; {penalty!r} has its own already."
            )
        return penalty, alpha
    if alpha == 0.0:
        return penalty_from_name("l1"), 0.0
    made = penalty(alpha, **given)
    if not isinstance(made, Penalty):
        raise TypeError(f"the function given as penalty must return a Penalty; it returned {made!r}.")
    return made, 1.0


def problem_at(
    problem: Problem, penalty: PenaltyLike, parameters: Mapping[str, Any] | None, alpha: float
) -> Problem:
    """Return the problem with the penalty at an alpha; X and everything computed from it is shared.

    A problem that has that penalty already keeps it, and what was computed of it.
    """
    made, lam = penalty_at(penalty, parameters, alpha)
    same = made is problem.penalty or (isinstance(penalty, str) and made == problem.penalty)
    return (problem if same else problem.with_penalty(made)).with_lam(lam)


def nested_parameters(penalty: Any, parameters: Any) -> dict[str, Any]:
    """Return a penalty's own parameters by name: what ``penalty__eps`` and the like stand for."""
    given = dict(parameters) if isinstance(parameters, Mapping) else {}
    if isinstance(penalty, str):
        try:
            penalty = penalty_from_name(penalty, **given)
        except (TypeError, ValueError):
            return given
    if isinstance(penalty, Penalty) and dataclasses.is_dataclass(penalty):
        return {one.name: getattr(penalty, one.name) for one in dataclasses.fields(penalty) if one.init}
    return given


def with_nested(
    penalty: Any, parameters: Mapping[str, Any] | None, changes: Mapping[str, Any]
) -> tuple[Any, Mapping[str, Any] | None]:
    """Return penalty and penalty_parameters with some of the penalty's own parameters changed.

    A penalty object stays frozen: a new one takes its place.

    Raises
    ------
    ValueError
        If the penalty has no such parameter, or does not allow the value.
    """
    try:
        if isinstance(penalty, Penalty):
            if not dataclasses.is_dataclass(penalty):
                raise TypeError("its class is no dataclass")
            return dataclasses.replace(penalty, **changes), parameters
        merged = {**(parameters or {}), **changes}
        if isinstance(penalty, str):
            penalty_from_name(penalty, **merged)
        return penalty, merged
    except TypeError as reason:
        names = ", ".join(f"penalty__{name}" for name in changes)
        raise ValueError(f"{names} cannot be set on {penalty!r}: {reason}.") from None

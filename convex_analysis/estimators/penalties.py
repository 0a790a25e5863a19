"""The penalty of an estimator: an object, a name with parameters, or a function of alpha."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from concave_sparsity import Penalty, penalty_from_name

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

"""Whether a penalty keeps the contract that solvers and theorems rest on."""

from __future__ import annotations

from weakref import WeakValueDictionary

import numpy as np

from concave_sparsity.catalogue import PENALTIES
from concave_sparsity.penalty import Penalty, Scaled

_OWN = frozenset(PENALTIES.values())
_checked: WeakValueDictionary[tuple[int, tuple[float, ...]], Penalty] = WeakValueDictionary()


def require_axioms(penalty: Penalty, *uppers: float) -> None:
    """Refuse a penalty that is not concave, nondecreasing and 0 at 0, or whose derivative is not its slope.

    The families of concave_sparsity are known to keep the axioms; any other penalty object is checked on a
    grid of [0, upper] for each of `uppers`, once.

    Raises
    ------
    ValueError
        With the first axiom that fails, and where.
    """
    while type(penalty) is Scaled:
        penalty = penalty.penalty
    key = id(penalty), uppers
    if type(penalty) in _OWN or _checked.get(key) is penalty:
        return
    for upper in uppers:
        check_axioms(penalty, upper, normalised=False)
    try:
        _checked[key] = penalty
    except TypeError:  # a class whose objects take no weak references is checked each time
        return


def check_axioms(penalty: Penalty, upper: float = 10.0, normalised: bool = True) -> None:
    """Check on a grid of [0, upper] that r is concave, nondecreasing, 0 at 0, and r' its slope.

    Meant for a user's own penalty, before it is trusted to a solver: passing is evidence, not proof.

    Parameters
    ----------
    penalty : Penalty
        Any penalty.
    upper : float, default 10
        End of the interval to look at.
    normalised : bool, default True
        Whether r(1) = 1 is asked too.

    Raises
    ------
    ValueError
        With a sentence that names the first axiom that fails, and where.
    TypeError
        If it is no penalty; a class, for instance.
    """
    if not isinstance(penalty, Penalty):
        raise TypeError(f"check_axioms takes a penalty, such as Log(0.1), got {penalty!r}")
    who = repr(penalty)
    t = np.unique(
        np.concatenate([[0.0, 1.0], np.geomspace(1e-9, 1.0, 400) * upper, np.linspace(0, upper, 401)])
    )
    with np.errstate(all="ignore"):
        values, slopes = np.asarray(penalty.value(t)), np.asarray(penalty.derivative(t))
    if values.shape != t.shape or slopes.shape != t.shape:
        raise ValueError(f"{who}: value and derivative must return one number for each of their arguments")
    if not np.all(np.isfinite(values)) or np.any(np.isnan(slopes)) or not np.all(np.isfinite(slopes[1:])):
        where = t[~np.isfinite(values) | np.isnan(slopes) | (~np.isfinite(slopes) & (t > 0))][0]
        raise ValueError(f"{who}: the value or the slope at t = {where:g} is not finite")
    rounding = 1e-12 * max(1.0, float(np.max(np.abs(values))))
    if abs(values[0]) > rounding:
        raise ValueError(f"{who}: r(0) must be 0, got {values[0]:g}")
    one = float(values[np.searchsorted(t, 1.0)])
    if normalised and abs(one - 1) > 1e-9:
        raise ValueError(
            f"{who}: r(1) must be 1, got {one:g}; divide by it, or use scaled(amplitude={1 / one:.17g})"
            if one > 0
            else f"{who}: r(1) must be 1, got {one:g}"
        )
    falling = np.flatnonzero(np.diff(values) < -rounding)
    if falling.size:
        raise ValueError(f"{who}: r must not decrease, but it does after t = {t[falling[0]]:g}")
    # A concave r lies below its tangents; those at all nodes against the values at all nodes.
    with np.errstate(all="ignore"):
        tangents = values[:, None] + slopes[:, None] * (t[None, :] - t[:, None])
    above = values[None, :] > tangents + rounding + 1e-9 * np.abs(tangents)
    if np.any(above):
        at, beyond = (t[k] for k in np.argwhere(above)[0])
        raise ValueError(
            f"{who}: r must lie below its tangents (be concave, with r' its slope), "
            f"but at t = {beyond:g} it lies above the tangent at t = {at:g}"
        )
    # And the tangent must touch: the slopes have to account for the rise between neighbouring nodes.
    short = np.flatnonzero(np.diff(values) < slopes[1:] * np.diff(t) * (1 - 1e-6) - rounding)
    if short.size:
        at = t[short[0] + 1]
        raise ValueError(f"{who}: r rises less up to t = {at:g} than its slope r'({at:g}) says")

"""A user's own penalty is looked at once before certificates rest on it."""

from __future__ import annotations

from weakref import WeakValueDictionary

from concave_sparsity import PENALTIES, Penalty, Scaled, check_axioms

# Far enough for coefficients in any sensible unit; the grids are geometric towards zero.
_INTERVALS = (10.0, 1e6)
_OWN = frozenset(PENALTIES.values())
_checked: WeakValueDictionary[int, Penalty] = WeakValueDictionary()


def require_axioms(penalty: Penalty) -> None:
    """Refuse a penalty that is not concave, nondecreasing and 0 at 0, or whose derivative is not its slope.

    The families of concave_sparsity are known to keep the axioms; any other penalty object is
    checked on a grid, once.

    Raises
    ------
    ValueError
        With the first axiom that fails, and where.
    """
    while type(penalty) is Scaled:
        penalty = penalty.penalty
    if type(penalty) in _OWN or _checked.get(id(penalty)) is penalty:
        return
    for upper in _INTERVALS:
        check_axioms(penalty, upper, normalised=False)
    try:
        _checked[id(penalty)] = penalty
    except TypeError:  # a class whose objects take no weak references is checked each time
        return

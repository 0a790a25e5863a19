"""The density wanted while a mask is trained: it falls along a cubic (Zhu, Gupta 2017, eq. 1)."""

from __future__ import annotations


def falling_density(
    share: float, density: float, *, begin: float = 0.0, end: float = 1.0, origin: float = 1.0
) -> float:
    """Return the density wanted when `share` of a training is done.

    Parameters
    ----------
    share : float
        Share of the training that is done, in [0, 1].
    density : float
        Density from `end` on.
    begin, end : float
        Shares of the training between which it falls, begin < end.
    origin : float
        Density up to `begin`.
    """
    if share <= begin:
        return origin  # to the last bit
    left = max(0.0, 1.0 - (share - begin) / (end - begin))
    return density + (origin - density) * left**3

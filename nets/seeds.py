"""One seed fixes everything: independent streams of random numbers derived from it by name."""

from __future__ import annotations

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """Return the seed of the stream named by `purpose`, e.g. ``derive(0, "retrain")``.

    Parameters
    ----------
    seed : int
        The seed of the run.
    *purpose : str or int
        Name of the stream; equal names give equal streams, different names independent ones.

    Returns
    -------
    int
        In [0, 2**63), the same on every machine.
    """
    text = "/".join([str(int(seed)), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

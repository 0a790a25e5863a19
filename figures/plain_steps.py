"""Majorize-minimize as theory.md, T7, states it: one exact convex step after the other, no shortcut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def iterates(problem: Any, steps: int, gap: float = 0.0) -> Iterator[np.ndarray]:
    """Yield the l1 solution and then the point after each step, until one leaves it where it was.

    Each step is solved to the duality gap given; at 0, as far as floating-point arithmetic goes.
    """
    from convex_analysis import ConvexStep

    solver = ConvexStep(problem)
    x = solver.compute(np.full(problem.n_features, problem.lam), gap=gap).x
    yield x
    for _ in range(steps):
        new = solver.compute(problem.weights(x), start=x, gap=gap).x
        yield new
        if np.array_equal(new, x):
            return
        x = new

"""First-order violations of a weighted l1 problem on a box."""

from __future__ import annotations

from typing import Any

from concave_sparsity.compilation import compiled


@compiled
def box_violations(x: Any, gradient: Any, weights: Any, lower: Any, upper: Any, out: Any) -> None:
    """Write how steeply ``gradient'x + weights'|x|`` falls along a feasible direction, 0 if it rises."""
    for j in range(x.size):
        right = gradient[j] + (weights[j] if x[j] >= 0.0 else -weights[j])
        left = gradient[j] + (weights[j] if x[j] > 0.0 else -weights[j])
        worst = 0.0
        if x[j] < upper[j] and right < 0.0:
            worst = -right
        if x[j] > lower[j] and left > worst:
            worst = left
        out[j] = worst

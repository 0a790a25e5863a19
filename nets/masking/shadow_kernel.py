"""One compiled pass over a gradient: its squares are added up, and it is multiplied by the mask."""

from __future__ import annotations

from typing import Any

from concave_sparsity.compilation import compiled


@compiled
def scaled(gradient: Any, mask: Any, squares: Any) -> None:
    """Add the squares of a gradient to `squares` and multiply it by the mask, in place; shape (n,) each."""
    for i in range(gradient.size):
        slope = gradient[i]
        squares[i] += slope * slope
        gradient[i] = slope * mask[i]

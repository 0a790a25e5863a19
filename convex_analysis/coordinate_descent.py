"""The compiled kernel: coordinate descent for a quadratic with weighted l1 and a box, on its Gram matrix."""

from __future__ import annotations

from convex_analysis.compilation import compiled


@compiled
def descend(G, gradient, x, weights, lower, upper, p, n_epochs, tolerance):  # type: ignore[no-untyped-def]
    """Minimise ``x'Gx/2 - q'x + weights'|x|`` over the box by cyclic coordinate descent, in place.

    Parameters
    ----------
    G
        Gram matrix in the leading p x p block of a C-ordered array; symmetric.
    gradient
        ``Gx - q``, shape (p,); kept up to date.
    x, weights, lower, upper
        Point (changed in place), weights and box, shape (p,).
    n_epochs, tolerance
        Stop after so many passes, or when every first-order violation met in a pass is below
        the tolerance.

    Returns
    -------
    int
        Number of passes made.
    """
    for epoch in range(n_epochs):
        worst = 0.0
        for j in range(p):
            curvature = G[j, j]
            old = x[j]
            g = gradient[j]
            if curvature <= 0.0:
                continue
            target = old - g / curvature
            threshold = weights[j] / curvature
            if target > threshold:
                new = target - threshold
            elif target < -threshold:
                new = target + threshold
            else:
                new = 0.0
            new = min(max(new, lower[j]), upper[j])
            if new != old:
                step = new - old
                x[j] = new
                row = G[j]
                for k in range(p):
                    gradient[k] += step * row[k]
                worst = max(worst, abs(step) * curvature)
        if worst <= tolerance:
            return epoch + 1
    return n_epochs

"""Certify a mask: what theorem T4 allows at each strength of the penalty, and the true error.

Run ``python examples/certified_mask.py``, which draws certified_mask.png; seconds.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from concave_sparsity import L1, MCP
from concave_sparsity.plot_style import in_style, look, new_axes
from convex_analysis import MaskProblem, majorize_minimize, theorems


@in_style
def main() -> None:
    """Solve a mask problem for many strengths, print where the bound is best, draw bound and error."""
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((200, 30)), (np.arange(30) < 6).astype(float)
    y = X @ target + 0.05 * rng.standard_normal(200)
    lams = np.geomspace(3e-3, 0.3, 15)
    ax = new_axes()[0]
    for name, penalty, number in (("l1", L1(), 1), ("MCP", MCP(1.0), 0)):
        verdicts = []
        for lam in lams:
            problem = MaskProblem(X, y, penalty=penalty, lam=float(lam))
            verdicts.append(theorems.T4.check(problem, target, majorize_minimize(problem)))
        bounds = [v.bound if v.applies else np.nan for v in verdicts]
        ax.plot(lams, bounds, **look(number, marker=False), label=f"{name}: at most (T4)")
        style = {**look(number), "linestyle": "none"}
        ax.plot(lams, [v.measured for v in verdicts], **style, label=f"{name}: error")
        print(
            f"{name}: smallest bound {np.nanmin(bounds):.3f}, error there "
            f"{verdicts[int(np.nanargmin(bounds))].measured:.3f}"
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("strength of the penalty, λ")
    ax.set_ylabel("distance to the true mask")
    ax.set_title("error and proved bound of l1 grow with λ, those of MCP hardly")
    ax.legend(ncols=2)
    ax.figure.savefig("certified_mask.png")
    plt.close(ax.figure)


if __name__ == "__main__":
    main()

"""Recover a known mask by l1 and by a concave penalty: bounds beside errors, and the certified optimum."""

from __future__ import annotations

from pathlib import Path


def demo(*, seed: int = 0, save: Path | None = None) -> int:
    """Recover a known mask by l1 and by a concave penalty: bounds beside errors, and the certified optimum.

    400 equations in 40 unknown mask entries, 8 of them one, little noise. A theorem bounds how far each
    solution may be from the true mask; the error beside it is what it is. Then branch and bound proves the
    global minimum.

    Parameters
    ----------
    seed
        Fixes the data.
    save
        Write the data to this folder as X.npy, y.npy and mask.npy, for `convex-analysis certify`.
    """
    import warnings

    import numpy as np
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from concave_sparsity import L1, MCP, Log, Penalty
    from concave_sparsity.stages import stage
    from convex_analysis import ConvergenceWarning, MaskProblem, global_minimum, majorize_minimize, theorems

    console = Console()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"Which {ONES} of {FEATURES} weights make up {SAMPLES} noisy sums? A mask is looked for that keeps")
    say("them at 1 and the others at 0. (The first run compiles the solver: some seconds.)")
    rng = np.random.default_rng(seed)
    covariance = 0.3 ** np.abs(np.subtract.outer(np.arange(FEATURES), np.arange(FEATURES)))
    X = rng.standard_normal((SAMPLES, FEATURES)) @ np.linalg.cholesky(covariance).T
    target = np.zeros(FEATURES)
    target[rng.choice(FEATURES, ONES, replace=False)] = 1.0
    y = X @ target + NOISE * rng.standard_normal(SAMPLES)

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("penalty", no_wrap=True)
    for heading in ("entries\nkept", "error\n|m - mask|", "error at most\n(T4)", "above the global\nminimum"):
        table.add_column(heading, justify="right", no_wrap=True)
    penalties: dict[str, Penalty] = {"l1": L1(), "log, eps 0.1": Log(0.1), "MCP, gamma 1": MCP(1.0)}
    for name, penalty in penalties.items():
        problem = MaskProblem(X, y, penalty=penalty, lam=LAM)
        with stage(f"solving with {name}"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = majorize_minimize(problem)
            best = global_minimum(problem, gap=1e-9, time_limit=20.0)
        verdict = theorems.T4.check(problem, target, found)
        bound = f"{verdict.bound:.4f}" if verdict.applies else "nothing known"
        above = max(0.0, found.objective - best.lower_bound)
        table.add_row(
            name,
            str(found.support.size),
            f"{np.linalg.norm(found.x - target):.4f}",
            bound,
            f"{above:.0e}, proved" if best.status == "optimal" else f"{above:.0e} at most",
        )
    console.print(table)
    say("A concave penalty leaves large entries alone: its error, and the bound proved")
    say("for it, are smaller than those of l1 of the same strength.")
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for name, array in (("X", X), ("y", y), ("mask", target)):
            np.save(save / f"{name}.npy", array)
        say(f"data: {save}; next:")
        say(
            f"  convex-analysis certify --x {save}/X.npy --y {save}/y.npy --target {save}/mask.npy "
            "--html certificate.html"
        )
    return 0


#: Size of the problem.
FEATURES, SAMPLES, ONES, NOISE, LAM = 40, 400, 8, 0.02, 0.05

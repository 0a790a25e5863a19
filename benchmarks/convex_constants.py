"""What each constant of `convex_analysis.steering` is worth: every one halved and doubled, in pairs.

    python benchmarks/convex_constants.py [NAME ...]    # a few minutes; rows are stored as they are made

A problem is run with a changed constant only if it reads it. Times are processor seconds, least of three
runs each way, taken in turn; a row holds geometric means over the problems and the largest relative changes
of the objective (negative: lower).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import sparse

from concave_sparsity import MCP, Log
from convex_analysis import (
    MaskProblem,
    RegressionProblem,
    cross_validate,
    global_minimum,
    majorize_minimize,
    path,
    steering,
)

STORE = Path(__file__).parents[1] / "figures" / "results" / "convex_constants.json"
REPEATS = 3


class _Noting(types.ModuleType):
    """A module that notes which of its names are read."""

    read: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name.isupper():
            _Noting.read.add(name)
        return super().__getattribute__(name)


def problems() -> dict[str, Callable[[], float]]:
    """Return the problems, by name, each a call that returns the objective."""
    rng = np.random.default_rng(0)

    def data(n: int, d: int, k: int = 10, density: float = 1.0) -> tuple[Any, np.ndarray]:
        if density < 1.0:
            X = sparse.random_array((n, d), density=density, rng=rng, format="csc")
        else:
            X = rng.standard_normal((n, d))
        w = np.zeros(d)
        w[rng.choice(d, k, replace=False)] = rng.choice([-1.0, 1.0], k)
        return X, X @ w + 0.5 * rng.standard_normal(n) * (0.2 if density < 1.0 else 1.0)

    def stated(X: Any, y: np.ndarray, share: float, **parts: Any) -> RegressionProblem:
        problem = RegressionProblem(X, y, **parts)
        return problem.with_lam(share * problem.lam_max())

    def solved(problem: RegressionProblem, **settings: Any) -> Callable[[], float]:
        def run() -> float:
            fresh = problem.with_sample_weight(np.ones(problem.n_samples))  # nothing computed before
            return majorize_minimize(fresh, **settings).objective

        return run

    wide, sparse_data, small = data(300, 3000), data(1000, 5000, 30, 0.01), data(100, 20, 4)
    labels = np.sign(wide[1])
    grouped = data(200, 400)
    signed = data(30, 16, 3)
    mask_X = rng.standard_normal((40, 20))
    counts = rng.poisson(np.exp(0.3 * small[0][:, 0])).astype(float)
    mask = MaskProblem(
        mask_X, mask_X[:, :4].sum(axis=1) + 0.3 * rng.standard_normal(40), penalty=Log(0.1), lam=0.1
    )
    box = RegressionProblem(*signed, penalty=MCP(1.0), lam=0.05, lower=-2.0, upper=2.0)
    on_path = RegressionProblem(*data(100, 300), penalty=Log(0.1))
    return {
        "lasso": solved(stated(*wide, 0.05)),
        "mcp": solved(stated(*wide, 0.1, penalty=MCP(3.0)), refine=False),
        "log, refined": solved(stated(*wide, 0.1, penalty=Log(0.1))),
        "sparse lasso": solved(stated(*sparse_data, 0.05)),
        "sparse mcp": solved(stated(*sparse_data, 0.1, penalty=MCP(3.0))),
        "logistic": solved(stated(wide[0], labels, 0.05, loss="logistic")),
        "logistic mcp": solved(stated(wide[0], labels, 0.2, loss="logistic", penalty=MCP(3.0))),
        "huber": solved(stated(*small, 0.1, loss="huber")),
        "poisson": solved(stated(small[0], counts, 0.2, loss="poisson", fit_intercept=True)),
        "groups": solved(stated(*grouped, 0.1, penalty=MCP(3.0), groups=np.arange(400) // 4)),
        "path": lambda: path(on_path, n_lams=20)[-1].objective,
        "cross-validation": lambda: float(
            cross_validate(RegressionProblem(*small), n_lams=20).best.objective
        ),
        "signed, certified": lambda: global_minimum(box, gap=1e-3).objective,
        "mask, certified": lambda: (
            global_minimum(mask, gap=1e-4).objective + 0.0 * majorize_minimize(mask).suboptimality_bound
        ),
    }


def changed(name: str, value: float) -> float | int:
    """Return the value as the kind of number that the constant is, at least one where it is an integer."""
    return max(round(value), 1) if isinstance(getattr(steering, name), int) else value


def compare(name: str, run: Callable[[], float], factor: float) -> tuple[float, float]:
    """Return the ratio of times and the relative change of the objective with the constant times a factor."""
    kept = getattr(steering, name)
    other = changed(name, kept * factor)
    best, objectives = [math.inf, math.inf], [0.0, 0.0]
    for _ in range(REPEATS):
        for i, value in enumerate((kept, other)):
            setattr(steering, name, value)
            begun = time.process_time()
            objectives[i] = run()
            best[i] = min(best[i], time.process_time() - begun)
    setattr(steering, name, kept)
    return best[1] / best[0], (objectives[1] - objectives[0]) / abs(objectives[0])


def row(name: str, cases: dict[str, Callable[[], float]], reads: dict[str, set[str]]) -> dict[str, Any]:
    """Measure a constant."""
    chosen = [case for case in cases if name in reads[case]]
    found: dict[str, Any] = {"constant": name, "value": getattr(steering, name), "read by": chosen}
    for label, factor in (("half", 0.5), ("twice", 2.0)):
        pairs = [compare(name, cases[case], factor) for case in chosen]
        if pairs:
            found[f"time, {label}"] = float(np.exp(np.mean([math.log(ratio) for ratio, _ in pairs])))
            found[f"worst time, {label}"] = max(ratio for ratio, _ in pairs)
            changes = [change for _, change in pairs]
            found[f"objective, {label}"] = max(changes, key=abs)
    return found


def main() -> None:
    """Measure the constants named, or all."""
    names = [name for name in vars(steering) if name.isupper()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*names, []], help="constants; all by default")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cases, reads = problems(), {}
    for case, run in cases.items():
        run()  # compiles
        sys.modules["convex_analysis.steering"].__class__ = _Noting
        _Noting.read = set()
        run()
        reads[case] = set(_Noting.read)
        sys.modules["convex_analysis.steering"].__class__ = types.ModuleType
    rows = json.loads(STORE.read_text())["rows"] if STORE.is_file() else []
    for name in given.names or names:
        new = row(name, cases, reads)
        rows = [other for other in rows if other["constant"] != name] + [new]
        beside = STORE.with_suffix(".tmp")
        beside.write_text(
            json.dumps({"command": "python benchmarks/convex_constants.py", "rows": rows}, indent=1) + "\n"
        )
        beside.replace(STORE)
        times = " ".join(f"{new.get(f'time, {k}', math.nan):.2f}" for k in ("half", "twice"))
        moved = " ".join(f"{new.get(f'objective, {k}', 0.0):+.1e}" for k in ("half", "twice"))
        print(
            f"{name} = {new['value']}: time {times}, objective {moved}, {len(new['read by'])} problems",
            flush=True,
        )


if __name__ == "__main__":
    main()

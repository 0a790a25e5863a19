"""What has to be measured in a process of its own: the first solve, and the peak memory of a solve."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FIRST_SOLVE = {
    "convex_analysis": (
        "from convex_analysis import RegressionProblem, majorize_minimize",
        "majorize_minimize(RegressionProblem(X, y, lam=lam), tol=1e-6)",
    ),
    "celer": ("from celer import Lasso", "Lasso(lam, fit_intercept=False, tol=1e-8).fit(X, y)"),
    "scikit-learn": (
        "from sklearn.linear_model import Lasso",
        "Lasso(lam, fit_intercept=False, tol=1e-8, max_iter=100000).fit(X, y)",
    ),
    "skglm": (
        "from skglm import Lasso",
        "Lasso(lam, fit_intercept=False, tol=1e-6).fit(X, y)",
    ),
}

# The data are read before the clock starts; numpy, which reading them needs, is imported before it too
# and its own import time is added.
_FIRST_SCRIPT = """
import time
begun = time.perf_counter()
import numpy as np
numpy_seconds = time.perf_counter() - begun
with np.load({file!r}, allow_pickle=False) as data:
    X, y, lam = np.asfortranarray(data["X"]), data["y"], float(data["lam"])
begun = time.perf_counter()
{importing}
import_seconds = time.perf_counter() - begun
{solving}
print(numpy_seconds + import_seconds, numpy_seconds + time.perf_counter() - begun)
"""


def _run(script: str) -> list[float]:
    folder = str(Path(__file__).parent)
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": folder},
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr.strip().splitlines()[-1] if finished.stderr else "no message")
    return [float(word) for word in finished.stdout.split()]


def first_solve(X: Any, y: Any, lam: float, repeats: int) -> list[dict[str, Any]]:
    """Median seconds of import, and of import and first solve, in fresh processes with a warm cache."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "data.npz")
        np.savez(file, X=X, y=y, lam=lam)
        for name, (importing, solving) in FIRST_SOLVE.items():
            script = _FIRST_SCRIPT.format(file=file, importing=importing, solving=solving)
            try:
                _run(script)  # fills the caches
                runs = [_run(script) for _ in range(repeats)]
            except RuntimeError as reason:
                rows.append({"solver": name, "problem": f"broke: {reason}"})
                continue
            rows.append(
                {
                    "solver": name,
                    "import_seconds": statistics.median(run[0] for run in runs),
                    "seconds": statistics.median(run[1] for run in runs),
                    "all_seconds": [run[1] for run in runs],
                }
            )
    return rows


# Name of the layout: order or format, dtype, size, lam over lam_max, penalty.
LAYOUTS: dict[str, tuple[str, str, tuple[int, int], float, str]] = {
    "float64, Fortran order": ("F", "float64", (2000, 20_000), 0.2, "lasso"),
    "float64, C order": ("C", "float64", (2000, 20_000), 0.2, "lasso"),
    "float32, Fortran order": ("F", "float32", (2000, 20_000), 0.2, "lasso"),
    "float32, C order": ("C", "float32", (2000, 20_000), 0.2, "lasso"),
    "CSC, 1% of entries": ("csc", "float64", (10_000, 200_000), 0.2, "lasso"),
    "CSR, 1% of entries": ("csr", "float64", (10_000, 200_000), 0.2, "lasso"),
    "CSC, 1% of entries, MCP, 0.1 lam_max": ("csc", "float64", (10_000, 200_000), 0.1, "mcp"),
    "CSC, 1% of entries, MCP, 0.02 lam_max": ("csc", "float64", (200_000, 2000), 0.02, "mcp"),
}

MEMORY_SOLVES = {
    ("convex_analysis", "lasso"): (
        "from convex_analysis import RegressionProblem, majorize_minimize",
        "majorize_minimize(RegressionProblem(X, y, lam=lam), tol=1e-6)",
    ),
    ("celer", "lasso"): (
        "from celer import Lasso", "Lasso(lam, fit_intercept=False, tol=1e-6).fit(X, y)"
    ),
    ("scikit-learn", "lasso"): (
        "from sklearn.linear_model import Lasso",
        "Lasso(lam, fit_intercept=False, tol=1e-6, max_iter=100000, copy_X=False).fit(X, y)",
    ),
    ("skglm", "lasso"): ("from skglm import Lasso", "Lasso(lam, fit_intercept=False, tol=1e-6).fit(X, y)"),
    ("convex_analysis", "mcp"): (
        "from concave_sparsity import MCP\n"
        "from convex_analysis import RegressionProblem, majorize_minimize",
        "majorize_minimize(RegressionProblem(X, y, penalty=MCP.classical(lam, 3.0), lam=1.0), tol=1e-6)",
    ),
    ("convex_analysis, refine=False", "mcp"): (
        "from concave_sparsity import MCP\n"
        "from convex_analysis import RegressionProblem, majorize_minimize",
        "majorize_minimize(RegressionProblem(X, y, penalty=MCP.classical(lam, 3.0), lam=1.0), tol=1e-6, "
        "refine=False)",
    ),
    ("skglm", "mcp"): (
        "from skglm import MCPRegression", "MCPRegression(lam, 3.0, fit_intercept=False, tol=1e-6).fit(X, y)"
    ),
}  # fmt: skip

# A small problem of the same layout is solved first, so that compilation and imports do not count; then
# the kernel's high-water mark is reset, and read again after the large solve.
_MEMORY_SCRIPT = """
import numpy as np
{importing}
from scipy import sparse


def make(n, d):
    rng = np.random.default_rng(0)
    if {order!r} in ("csc", "csr"):
        X = sparse.random_array((n, d), density=0.01, format={order!r}, dtype=np.float64, rng=rng)
        X = (sparse.csc_matrix if {order!r} == "csc" else sparse.csr_matrix)(X)
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    else:
        X = np.empty((n, d), dtype={dtype!r}, order={order!r})
        for j in range(0, d, 100):
            X[:, j:j + 100] = rng.standard_normal((n, X[:, j:j + 100].shape[1]))
    x = np.zeros(d)
    x[:20] = 1.0
    y = np.asarray(X @ x.astype(X.dtype) + rng.standard_normal(n), dtype=X.dtype)
    return X, y, {share} * float(np.abs(X.T @ y).max()) / n


def megabytes(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) / 1024


X, y, lam = make(100, 300)
{call}
X, y, lam = make({n}, {d})
size = (X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
open("/proc/self/clear_refs", "w").write("5")
before = megabytes("VmRSS")
{call}
print(size, megabytes("VmHWM") - before)
"""


def memory(quick: bool) -> list[dict[str, Any]]:
    """Peak extra memory of one solve, in MiB and in copies of X, for each layout of X."""
    rows: list[dict[str, Any]] = []
    for layout, (order, dtype, (n, d), share, penalty) in LAYOUTS.items():
        if quick:
            n, d = n // 10, d // 10
        for (name, kind), (importing, call) in MEMORY_SOLVES.items():
            if kind != penalty:
                continue
            script = _MEMORY_SCRIPT.format(
                importing=importing, order=order, dtype=dtype, n=n, d=d, call=call, share=share
            )
            row: dict[str, Any] = {"solver": name, "layout": f"{layout}, {n} x {d}"}
            try:
                size, extra = _run(script)
                row |= {"x_mib": size, "extra_mib": extra, "copies_of_x": extra / size}
            except RuntimeError as reason:
                row["problem"] = f"broke: {reason}"
            rows.append(row)
    return rows

"""Memory: X is not copied by the solvers, whatever its form."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
import numpy as np
from scipy import sparse
from concave_sparsity import MCP
from convex_analysis import RegressionProblem, majorize_minimize

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

warm = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
form = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csc": sparse.csc_matrix}[sys.argv[1]]
problem = RegressionProblem(form(warm), warm[:, 0], penalty=MCP(3.0), lam=0.1)
majorize_minimize(problem)
if sys.argv[1] == "csc":
    n, d, each = 20_000, 25_000, 400
    rng = np.random.default_rng(0)
    indices = np.tile(np.arange(each, dtype=np.int32) * (n // each), d)
    pointers = np.arange(d + 1, dtype=np.int32) * each
    X = sparse.csc_matrix((rng.random(each * d, dtype=np.float32), indices, pointers), shape=(n, d))
    size = X.data.nbytes + X.indices.nbytes
else:
    n, d = 1000, 20_000
    X = np.random.default_rng(0).random((n, d) if sys.argv[1] == "C" else (d, n), dtype=np.float32)
    X = X if sys.argv[1] == "C" else X.T
    size = X.nbytes
y = np.asarray(X[:, :3].sum(axis=1), dtype=np.float64).ravel()
before = peak()
problem = RegressionProblem(X, y - y.mean(), penalty=MCP(3.0), fit_intercept=True)
found = majorize_minimize(problem.with_lam(0.9 * problem.lam_max()), tol=1e-4)
print(json.dumps({"grown": peak() - before, "size": size, "support": int(found.support.size)}))
"""


@pytest.mark.parametrize("form", ["C", "F", "csc"])
def test_a_solve_takes_a_fraction_of_the_memory_of_the_data(form):
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True, timeout=300
    )
    figures = json.loads(told.stdout)
    assert figures["support"] > 0
    assert figures["grown"] < (0.2 if form == "csc" else 0.3) * figures["size"]

"""Importing the shared floor must cost numpy and nothing heavier."""

import subprocess
import sys


def test_import_leaves_heavy_packages_out():
    script = (
        "import sys, concave_sparsity; "
        "print([m for m in ('torch', 'scipy', 'numba', 'cvxpy', 'pandas', 'sklearn') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

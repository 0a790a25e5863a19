"""Settings shared by all tests: one thread a process, reproducible hypothesis runs, the real data."""

import gc
import os
import sys

# What is imported and collected stays to the end: the collector leaves it alone, a tenth of the time.
gc.disable()

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# More, or fewer, examples a theorem than the usual thousands: THEOREM_EXAMPLES=20000 make test-theorems
settings.register_profile(
    "theorems",
    parent=settings.get_profile("default"),
    max_examples=int(os.environ.get("THEOREM_EXAMPLES", "3000")),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Let the collector look at what the tests make, and at that alone."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Give everything back: bindings complain of what is still there at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets, or a skip that says how to name it."""
    named = os.environ.get("CONCAVE_SPARSITY_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("set CONCAVE_SPARSITY_DATA to the folder of data sets to run this test")
    return Path(named)


@pytest.fixture(autouse=True)
def _process_stays() -> Iterator[None]:
    """Nothing changes what all that follows in the process depends on: torch's threads, small numbers.

    numba's threads would change the former; numbers below the least normal one may be flushed to zero.
    """
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 1
    yield
    if "torch" in sys.modules:
        assert sys.modules["torch"].get_num_threads() == before
    assert sys.float_info.min / 2.0 > 0.0

"""Figures of the theory, one file each: `python -m figures` draws all of them from stored results."""

import os

# Results must not depend on the number of cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

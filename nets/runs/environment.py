"""Where a run was computed: versions, device, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Packages whose versions a result may depend on.
PACKAGES = ("concave-sparsity", "torch", "numpy", "safetensors")


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what the result of a run may depend on besides what is run, as plain values.

    Parameters
    ----------
    device : str
        Where the run computes; for an accelerator its name and driver are told.

    Returns
    -------
    dict
        time (UTC, ISO 8601), versions, commit of this library (None outside a checkout), machine, processor,
        threads, device, and for CUDA devices their name, memory in bytes, driver and CUDA version.
    """
    import torch

    facts: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "commit": commit(),
        "machine": platform.machine(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "device": device,
    }
    if torch.device(device).type == "cuda" and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(torch.device(device))
        facts |= {
            "device_name": properties.name,
            "device_memory": properties.total_memory,
            "cuda": torch.version.cuda,
            "driver": driver(),
        }
    return facts


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def commit() -> str | None:
    """Return the commit of the checkout that this library is imported from, "+changes" if it was edited."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        head = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return run.stdout.strip()


@cache
def processor() -> str:
    """Return the name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def driver() -> str | None:
    """Return the version of the NVIDIA driver, or None if it cannot be asked."""
    try:
        run = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.splitlines()[0].strip() if run.stdout.strip() else None

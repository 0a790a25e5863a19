"""Masks from files: the target to compare with, and an estimate to certify as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.commands.data_files import read_vector
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems import Problem
    from convex_analysis.solution import Solution


def target_mask(source: str | None, n_features: int) -> Vector | None:
    """Read the target mask; None where there is none yet (no source, or the word "rounded").

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, of another length, or not of zeros and ones.
    """
    if source is None or source == "rounded":
        return None
    mask = _read(source, ("mask", "target"), n_features, "target")
    if not np.isin(mask, (0.0, 1.0)).all():
        raise ValueError(f"{source}: a target mask holds zeros and ones only.")
    return mask


def estimate_mask(source: str | None, problem: Problem) -> Vector | None:
    """Read an estimate; None where there is none.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, of another length, or leaves the box.
    """
    if source is None:
        return None
    mask = _read(source, ("x", "mask", "estimate"), problem.n_features, "estimate")
    outside = np.flatnonzero(~((mask >= problem.lower) & (mask <= problem.upper)))
    if outside.size:
        j = outside[0]
        raise ValueError(
            f"{source}: entry {j} of the estimate is {mask[j]:g}, outside its bounds "
            f"[{problem.lower[j]:g}, {problem.upper[j]:g}]."
        )
    return mask


def given_solution(problem: Problem, x: Vector, tol: float) -> Solution:
    """Return an estimate with a solution's certificates: its stationarity and the gap of its own step."""
    from convex_analysis.solver.run import Solver
    from convex_analysis.solver.stop import Stop

    found = Solver(problem).run(problem, x, Stop(tol, 0))
    reached = found.stationarity <= found.tolerance
    message = (
        f"The estimate given, not changed; it is {'' if reached else 'not '}stationary: stationarity "
        f"{found.stationarity:.3g}, tolerance {found.tolerance:.3g}."
    )
    return replace(found, message=message)


def _read(source: str, keys: tuple[str, ...], n_features: int, kind: str) -> Vector:
    values = read_vector(source, keys)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{source}: the {kind} must hold numbers, it holds {values.dtype}.")
    if values.size != n_features:
        raise ValueError(f"{source}: the {kind} has {values.size} entries, X has {n_features} features.")
    return values.astype(np.float64)

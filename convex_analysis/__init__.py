"""Concave-penalised linear and logistic models: solvers, certificates and theorems that run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convex_analysis import losses as losses
    from convex_analysis import reference as reference
    from convex_analysis import theorems
    from convex_analysis.branch_and_bound import GlobalSolution, GlobalStatus, global_minimum
    from convex_analysis.certificate import chord_envelope
    from convex_analysis.convex_step import ConvexSolution, ConvexStep
    from convex_analysis.cross_validation import CrossValidation, GridEdgeWarning
    from convex_analysis.cross_validation import cross_validate as cross_validate
    from convex_analysis.duality import dual_value
    from convex_analysis.estimators import (
        ConcaveClassifier,
        ConcaveClassifierCV,
        ConcaveRegressor,
        ConcaveRegressorCV,
    )
    from convex_analysis.problems import (
        CopyWarning,
        MaskProblem,
        MultiResponseProblem,
        Problem,
        RegressionProblem,
    )
    from convex_analysis.regularisation_path import Path as Path
    from convex_analysis.regularisation_path import lam_grid
    from convex_analysis.regularisation_path import path as path
    from convex_analysis.solution import ConvergenceWarning as ConvergenceWarning
    from convex_analysis.solution import Solution, Status
    from convex_analysis.solver.run import majorize_minimize
    from convex_analysis.solver.run import solve as solve
    from convex_analysis.statistics import (
        effective_degrees_of_freedom,
        nested_cross_validate,
        refit,
        stability_selection,
    )

_MODULE_OF = {
    "ConcaveClassifier": "convex_analysis.estimators",
    "ConcaveClassifierCV": "convex_analysis.estimators",
    "ConcaveRegressor": "convex_analysis.estimators",
    "ConcaveRegressorCV": "convex_analysis.estimators",
    "ConvergenceWarning": "convex_analysis.solution",
    "GridEdgeWarning": "convex_analysis.cross_validation",
    "ConvexSolution": "convex_analysis.convex_step",
    "ConvexStep": "convex_analysis.convex_step",
    "CopyWarning": "convex_analysis.problems",
    "GlobalSolution": "convex_analysis.branch_and_bound",
    "GlobalStatus": "convex_analysis.branch_and_bound",
    "MaskProblem": "convex_analysis.problems",
    "MultiResponseProblem": "convex_analysis.problems",
    "Problem": "convex_analysis.problems",
    "RegressionProblem": "convex_analysis.problems",
    "Solution": "convex_analysis.solution",
    "Status": "convex_analysis.solution",
    "chord_envelope": "convex_analysis.certificate",
    "dual_value": "convex_analysis.duality",
    "effective_degrees_of_freedom": "convex_analysis.statistics",
    "global_minimum": "convex_analysis.branch_and_bound",
    "CrossValidation": "convex_analysis.cross_validation",
    "Path": "convex_analysis.regularisation_path",
    "cross_validate": "convex_analysis.cross_validation",
    "lam_grid": "convex_analysis.regularisation_path",
    "nested_cross_validate": "convex_analysis.statistics",
    "path": "convex_analysis.regularisation_path",
    "refit": "convex_analysis.statistics",
    "stability_selection": "convex_analysis.statistics",
    "majorize_minimize": "convex_analysis.solver.run",
    "solve": "convex_analysis.solver.run",
}
_SUBMODULES = {"losses", "reference", "theorems"}

# What `from convex_analysis import *` brings: no names that os, pathlib, scikit-learn or scipy have too.
__all__ = [
    "ConcaveClassifier",
    "ConcaveClassifierCV",
    "ConcaveRegressor",
    "ConcaveRegressorCV",
    "ConvexSolution",
    "ConvexStep",
    "CopyWarning",
    "CrossValidation",
    "GlobalSolution",
    "GlobalStatus",
    "GridEdgeWarning",
    "MaskProblem",
    "MultiResponseProblem",
    "Problem",
    "RegressionProblem",
    "Solution",
    "Status",
    "chord_envelope",
    "dual_value",
    "effective_degrees_of_freedom",
    "global_minimum",
    "lam_grid",
    "majorize_minimize",
    "nested_cross_validate",
    "refit",
    "stability_selection",
    "theorems",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"convex_analysis.{name}")
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'convex_analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, *_SUBMODULES})

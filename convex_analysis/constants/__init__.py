"""Constants that the theorems need, each certified or labelled as an estimate."""

from __future__ import annotations

from convex_analysis.constants.constant import Constant
from convex_analysis.constants.curvature import (
    curvature_factor,
    dense_design,
    row_curvature_at_target,
    row_curvature_on_box,
    row_monotonicity_at_target,
)
from convex_analysis.constants.irrepresentable import Irrepresentable, irrepresentable
from convex_analysis.constants.normalised_penalty import NormalisedPenalty
from convex_analysis.constants.rounding import Rounding
from convex_analysis.constants.sign_cone import orthant_minimum, restricted_eigenvalue, sign_cone_minimum
from convex_analysis.constants.slope_lines import SlopeLine, slope_lines
from convex_analysis.constants.strong_convexity import diagonal_curvature, strong_convexity

__all__ = [
    "Constant",
    "Irrepresentable",
    "NormalisedPenalty",
    "Rounding",
    "SlopeLine",
    "curvature_factor",
    "dense_design",
    "diagonal_curvature",
    "irrepresentable",
    "orthant_minimum",
    "restricted_eigenvalue",
    "row_curvature_at_target",
    "row_curvature_on_box",
    "row_monotonicity_at_target",
    "sign_cone_minimum",
    "slope_lines",
    "strong_convexity",
]

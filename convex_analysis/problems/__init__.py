"""Statements of the problems: relaxed masks and signed regression, one internal form."""

from __future__ import annotations

from convex_analysis.problems.mask import MaskProblem
from convex_analysis.problems.problem import Problem
from convex_analysis.problems.regression import RegressionProblem
from convex_analysis.problems.responses import MultiResponseProblem
from convex_analysis.problems.validation import CopyWarning

__all__ = ["CopyWarning", "MaskProblem", "MultiResponseProblem", "Problem", "RegressionProblem"]

"""Certified global optima by branch and bound (theory.md, T1)."""

from convex_analysis.branch_and_bound.search import global_minimum
from convex_analysis.branch_and_bound.solution import GlobalSolution, GlobalStatus

__all__ = ["GlobalSolution", "GlobalStatus", "global_minimum"]

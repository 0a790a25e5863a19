"""Certified global optima by branch and bound (theory.md, T1)."""

from convex_analysis.global_minimum.search import global_minimum
from convex_analysis.global_minimum.solution import GlobalSolution, GlobalStatus

__all__ = ["GlobalSolution", "GlobalStatus", "global_minimum"]

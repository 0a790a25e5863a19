"""Concave penalties and masks: the mathematics that the convex and the neural side share.

Imports numpy and the array API standard only; torch tensors work when they come.
"""

from concave_sparsity.axioms import check_axioms
from concave_sparsity.catalogue import PENALTIES, penalty_from_dict, penalty_from_name
from concave_sparsity.families.arctan import Arctan
from concave_sparsity.families.capped_l1 import CappedL1
from concave_sparsity.families.exponential import Exponential
from concave_sparsity.families.fraction import Fraction
from concave_sparsity.families.l1 import L1
from concave_sparsity.families.log import Log
from concave_sparsity.families.lq import Lq
from concave_sparsity.families.mcp import MCP
from concave_sparsity.families.scad import SCAD
from concave_sparsity.penalty import Penalty, Scaled
from concave_sparsity.selection import density_count, largest

__all__ = [
    "L1",
    "MCP",
    "PENALTIES",
    "SCAD",
    "Arctan",
    "CappedL1",
    "Exponential",
    "Fraction",
    "Log",
    "Lq",
    "Penalty",
    "Scaled",
    "check_axioms",
    "density_count",
    "largest",
    "penalty_from_dict",
    "penalty_from_name",
]

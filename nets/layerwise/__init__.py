"""Prune a trained network layer by layer: each layer keeps its outputs on calibration data, no training."""

from __future__ import annotations

from nets.layerwise.layer_by_layer import prune
from nets.layerwise.moments import Calibration
from nets.layerwise.solvers import SOLVERS, LayerSolver, layer_solver

__all__ = ["SOLVERS", "Calibration", "LayerSolver", "layer_solver", "prune"]

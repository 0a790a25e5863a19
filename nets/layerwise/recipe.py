"""How every layer of a network is pruned: what a user asks for, checked once and handed on as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from concave_sparsity import Penalty
from nets.granularity.names import granularity_kind, n_and_m
from nets.layerwise.rows import LayerProblem, Limit, prune_rows
from nets.layerwise.sites import Site
from nets.layerwise.solvers import layer_solver
from nets.layerwise.support import Mask, Weights, evenly


@dataclass(frozen=True)
class Recipe:
    """How each layer is pruned; see `nets.prune`."""

    density: float
    penalty: Penalty
    granularity: str
    allocation: str
    solver: str
    ridge: float
    fit_bias: bool
    search: bool
    certify: bool

    @property
    def patterns(self) -> bool:
        """Whether N of every M weights stay."""
        return n_and_m(self.granularity) is not None

    @property
    def units(self) -> bool:
        """Whether whole channels or heads go."""
        return granularity_kind(self.granularity) in ("channel", "head")

    def centred(self, site: Site) -> bool:
        """Whether a layer's moments are about their means, as its bias is fitted."""
        return self.fit_bias and bool(site.bias)

    def rows(
        self, problem: LayerProblem, gram: Weights, count: int, device: torch.device
    ) -> tuple[Mask, Weights]:
        """Return the support and the values of one matrix of which `count` weights stay."""
        if self.solver == "concave":
            limit: Limit = count
            if self.patterns:
                limit = self.granularity
            elif self.allocation == "row":
                limit = evenly(count, len(problem.weights))
            return prune_rows(problem, self.penalty, limit, search=self.search, device=device)
        if count == 0:
            return np.zeros(problem.weights.shape, dtype=bool), np.zeros_like(problem.weights)
        asked = self.granularity if self.patterns else count / problem.total
        values = layer_solver(self.solver)(problem.weights, gram, asked, ridge=self.ridge)
        return values != 0, values

"""Rows of real layers against their global minimum: how often the pruned support is the best there is.

    python benchmarks/layerwise_rows.py        # into figures/results/layerwise_rows.json

Rows of LeNet-300-100 on MNIST, each on some of its inputs (drawn at random among those that vary), with the
moments that the trained network has there; the outputs to keep are those of the weights at these inputs. Up
to 12 inputs every support of the size is tried. Above, `global_minimum` certifies the penalised problem for
some lam, and the pruned row is compared with it at the same number of weights: its objective, after
majorize-minimize from the pruned values, and its error. A row whose search ends at its limit of nodes is
not certified. `python -m figures.tables` writes the table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.convex_report import store
from benchmarks.layerwise import RESULTS, RIDGE, grams, versions
from benchmarks.layerwise_networks import subject
from concave_sparsity import Log
from convex_analysis import RegressionProblem, global_minimum, majorize_minimize
from nets.layerwise.rows import LayerProblem, prune_rows
from nets.layerwise.sites import find_sites

NAME, PENALTY = "lenet-300-100 on mnist", Log(0.1)
#: Inputs of a row, rows, and what is kept (brute force) or lam (global minimum).
BRUTE: tuple[tuple[int, int, int], ...] = ((12, 60, 3), (12, 60, 6))
GLOBAL: tuple[tuple[int, int, float], ...] = ((24, 20, 0.003), (24, 20, 0.01), (40, 5, 0.01), (60, 3, 0.01))
NODES = 2000

Matrix = NDArray[np.float64]


@dataclass
class Rows:
    """Draws rows of one inputs' number from the layers of the network."""

    weights: dict[str, Matrix]
    moments: dict[str, Matrix]

    @classmethod
    def trained(cls) -> Rows:
        """Return the rows of the network of seed 0."""
        found = subject(NAME, 0)
        sites, _ = find_sites(found.model)
        parameters = dict(found.model.named_parameters())
        weights = {s.name: s.matrix(parameters[s.parameter].detach())[0].double().numpy() for s in sites}
        return cls(weights, {k: g[0] for k, g in grams(found, NAME, 0, False).items()})

    def draw(self, d: int, seed: int) -> LayerProblem:
        """Return the problem of one row on d of its inputs."""
        rng = np.random.default_rng((d, seed))
        name = sorted(self.weights)[seed % len(self.weights)]
        gram, weights = self.moments[name], self.weights[name]
        moving = np.flatnonzero(np.diag(gram) > 1e-3 * np.diag(gram).mean())
        chosen = np.sort(rng.choice(moving, d, replace=False))
        row = weights[rng.integers(len(weights)), chosen]
        return LayerProblem.of(gram[np.ix_(chosen, chosen)], row[None], ridge=RIDGE)


def brute_force(problem: LayerProblem, k: int) -> float:
    """Return the least error of any k weights."""
    supports = np.array(list(combinations(range(problem.total), k)))
    inner = problem.gram[supports[:, :, None], supports[:, None, :]]
    right = problem.correlations[0][supports]
    gained = np.einsum("sk,sk->s", np.linalg.solve(inner, right[:, :, None])[:, :, 0], right)
    return float(problem.squares[0] - gained.max())


def against_global(problem: LayerProblem, lam: float) -> dict[str, Any]:
    """Return the pruned row beside the global minimum of its penalised problem."""
    scale = np.sqrt(np.diag(problem.gram))
    size = float(np.sqrt(np.mean((problem.weights * scale) ** 2)))
    unit = float(problem.squares[0])  # the objective relative to the row's mean square
    row = RegressionProblem.from_moments(
        problem.gram / np.outer(scale, scale) * size**2 / unit,
        problem.correlations[0] / scale * size / unit,
        mean_square=1.0,
        penalty=PENALTY,
        lam=lam,
        lower=-20.0,
        upper=20.0,
    )
    best = global_minimum(row, gap=1e-5, max_nodes=NODES)
    kept = int(np.count_nonzero(best.x))
    if not 0 < kept < problem.total:
        return {"kept": kept, "certified": best.status == "optimal"}
    mask, values = prune_rows(problem, PENALTY, [kept])
    ours = majorize_minimize(row, start=values[0] * scale / size)
    theirs = problem.on((best.x != 0)[None])
    return {
        "kept": kept,
        "certified": best.status == "optimal",
        "objective": ours.objective / best.objective,
        "bound": ours.objective / best.lower_bound,
        "error": float(problem.errors(values)[0] / problem.errors(theirs)[0]),
        "same_support": bool(np.array_equal(mask[0], best.x != 0)),
    }


def measured() -> list[dict[str, Any]]:
    """Return one entry an experiment, with all its rows."""
    rows, found = Rows.trained(), []
    for d, count, k in BRUTE:
        ratios = []
        for seed in range(count):
            problem = rows.draw(d, seed)
            ratios.append(
                float(problem.errors(prune_rows(problem, PENALTY, [k])[1])[0] / brute_force(problem, k))
            )
        found.append({"inputs": d, "kept": k, "reference": "brute force", "ratios": ratios})
        print(found[-1]["inputs"], k, max(ratios), flush=True)
    for d, count, lam in GLOBAL:
        entries = [against_global(rows.draw(d, seed), lam) for seed in range(count)]
        found.append({"inputs": d, "lam": lam, "reference": "global_minimum", "rows": entries})
        print(d, lam, entries, flush=True)
    return found


if __name__ == "__main__":
    result = {"environment": versions(), "experiments": measured()}
    store(result, RESULTS / "layerwise_rows.json")

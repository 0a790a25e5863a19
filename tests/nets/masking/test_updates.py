"""Updates of the mask: their fixed points are stationary, and a common scale of the loss does not matter."""

import pytest
import torch
from users_own import UsersOwn

from concave_sparsity import L1, MCP, Log, Lq
from nets.masking.trained_mask import OPTIMISERS, GradientUpdate, ProximalUpdate

PENALTIES = [L1(), Log(0.5), MCP(3.0), Lq(0.5)]


def settled(update, curvature, best, penalty, lam, steps):
    """Return the mask after many steps on sum of h (m - b)^2 / 2 + lam r(m)."""
    scores = torch.ones_like(best)
    update.begin(scores)
    lam = torch.tensor(lam, dtype=best.dtype)
    for step in range(steps):
        slope = curvature * (scores - best)
        if update.whole:
            slope += lam * penalty.derivative(scores.clamp(min=1e-3))
        update.step(slope, lam, 1.0 - step / steps)
        scores.clamp_(0.0, 1.0)
    return scores


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("penalty", [*PENALTIES, UsersOwn()], ids=lambda p: p.name)
@pytest.mark.parametrize("kind", ["gradient", "proximal"])
def test_fixed_points_are_stationary(kind, penalty, name):
    best = torch.tensor([0.05, 0.3, 0.7, 0.95, 1.3, -0.5], dtype=torch.float64)
    curvature = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0, 1.0], dtype=torch.float64)
    lr = {"sgd": 0.2, "momentum": 0.02, "adam": 0.03}[name]
    steps = 100 if isinstance(penalty, UsersOwn) and kind == "proximal" and name != "adam" else 250
    update = GradientUpdate(lr, name) if kind == "gradient" else ProximalUpdate(penalty, lr, name)
    mask = settled(update, curvature, best, penalty, 0.05, steps)
    force = curvature * (best - mask) - 0.05 * penalty.derivative(mask.clamp(min=1e-3))
    inside = (mask > 0.002) & (mask < 0.998)
    assert (force[inside].abs() < 0.02).all()
    assert (force[mask >= 0.998] > -0.02).all()
    assert (force[mask <= 0.002] < 0.02).all()
    if kind == "proximal":
        assert (mask[best < 0] == 0).all()


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_adam_does_not_know_the_scale_of_the_loss(scale):
    masks = []
    for factor in (1.0, scale):
        scores = torch.full((50,), 0.8)
        update = ProximalUpdate(Log(0.1), 0.05, "adam")
        update.begin(scores)
        generator = torch.Generator().manual_seed(0)
        for _ in range(20):
            slope = torch.randn(50, generator=generator) * factor
            update.step(slope, torch.tensor(0.3 * factor), 1.0)
        masks.append(scores)
    torch.testing.assert_close(*masks)


def test_bad_settings():
    with pytest.raises(ValueError, match="optimiser must be one of sgd, momentum, adam, got 'lion'"):
        GradientUpdate(0.1, "lion")
    with pytest.raises(ValueError, match="step must be positive, or 0"):
        GradientUpdate(-1.0)

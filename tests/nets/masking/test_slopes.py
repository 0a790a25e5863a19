"""The weights of majorize-minimize: tangents above the penalty, finite everywhere, refreshed when due."""

import pytest
import torch
from users_own import UsersOwn

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from nets.masking.laws import NEAR_ZERO, Slopes, usual_start

PENALTIES = [
    L1(), Log(0.02), Log(1.0), Lq(0.5), Lq(0.2, 0.01), MCP(1.0), MCP(3.0), SCAD(3.7, 0.2),
    CappedL1(0.5), Exponential(0.1), Arctan(0.3), Fraction(0.1),
]  # fmt: skip


@pytest.mark.parametrize("penalty", [*PENALTIES, UsersOwn()], ids=repr)
def test_the_tangent_lies_above_and_is_finite(penalty):
    mask = torch.linspace(0, 1, 101, dtype=torch.float64)
    slopes = Slopes(penalty).update(mask, 0, 10)
    assert torch.isfinite(slopes).all()
    assert (slopes >= 0).all()
    base = mask.clamp(min=NEAR_ZERO) if penalty.slope_at_zero == float("inf") else mask
    tangents = penalty.value(base)[:, None] + slopes[:, None] * (mask[None, :] - base[:, None])
    assert (tangents >= penalty.value(mask)[None, :] - 1e-9).all()


def test_infinite_slopes_are_taken_near_zero():
    slopes = Slopes(Lq(0.5)).update(torch.tensor([0.0, NEAR_ZERO, 0.25]), 0, 10)
    assert slopes.tolist() == pytest.approx([0.5 / NEAR_ZERO**0.5, 0.5 / NEAR_ZERO**0.5, 1.0])


def test_refreshed_every_step_or_once_an_epoch():
    masks = [torch.full((3,), 0.1 * k) for k in range(1, 7)]
    every, epoch = Slopes(Log(0.1)), Slopes(Log(0.1), "epoch")
    for step, mask in enumerate(masks):
        assert torch.equal(every.update(mask, step, 3), Log(0.1).derivative(mask))
        assert torch.equal(epoch.update(mask, step, 3), Log(0.1).derivative(masks[3 * (step // 3)]))
    again = Slopes(Log(0.1), "epoch")
    again.load_state_dict(epoch.state_dict())
    assert torch.equal(again.update(masks[0], 7, 3), Log(0.1).derivative(masks[3]))


@pytest.mark.parametrize("penalty", [*PENALTIES, UsersOwn()], ids=repr)
def test_the_usual_start_is_the_largest_entry_that_is_pulled(penalty):
    start = usual_start(penalty)
    assert 0 < start <= 1
    assert penalty.derivative(start) >= 0.01 or start == 1.0
    if start < 1:
        assert penalty.derivative(min(1.0, start + 1e-6)) < 0.01 + 1e-6


def test_bad_refresh():
    with pytest.raises(ValueError, match="refresh must be one of step, epoch, got 'never'"):
        Slopes(L1(), "never")

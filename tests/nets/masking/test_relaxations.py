"""Relaxations: masks in the box, and the slopes that autograd finds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.masking.laws import Clipped, Sigmoid

RELAXATIONS = [Clipped(), Sigmoid(1.0), Sigmoid(0.1)]
MASKS = torch.tensor([0.1, 0.25, 0.5, 0.9])


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_scores_give_back_the_mask_they_start_from(relaxation):
    scores = relaxation.scores(MASKS)
    torch.testing.assert_close(relaxation.mask(scores, 0.0, torch.empty(4)), MASKS)


def test_a_sigmoid_starts_where_it_can_still_learn():
    scores = Sigmoid().scores(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(torch.sigmoid(scores), torch.tensor([0.1, 0.9]))


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@given(share=st.floats(0.0, 1.0), moves=st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4))
def test_projected_scores_give_masks_in_the_box(relaxation, share, moves):
    scores = relaxation.scores(MASKS) + torch.tensor(moves)
    relaxation.project(scores)
    mask = relaxation.mask(scores, share, torch.empty(4))
    assert mask.min() >= 0
    assert mask.max() <= 1


@pytest.mark.parametrize("temperature", [1.0, 0.2])
@given(share=st.floats(0.0, 1.0))
def test_the_slope_in_the_scores_is_that_of_autograd(temperature, share):
    relaxation = Sigmoid(temperature)
    scores = torch.tensor([-2.0, -0.3, 0.0, 1.5], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    (wanted,) = torch.autograd.grad(torch.sigmoid(scores / temperature**share), scores, slope)
    mask = relaxation.mask(scores.detach(), share, torch.empty(4, dtype=torch.float64))
    relaxation.pull_back(slope, mask, share)
    torch.testing.assert_close(slope, wanted)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_temperature(bad):
    with pytest.raises(ValueError, match="temperature must be positive"):
        Sigmoid(bad)

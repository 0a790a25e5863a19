"""Laws of lam: the quantile pushes up just the wanted share, dual ascent follows, a given lam stays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.granularity.single_weights import kth_smallest
from nets.masking.laws import DualAscent, Given, Quantile


def threshold(values, density):
    dropped = min(values.numel(), round((1.0 - density) * values.numel()))
    return kth_smallest(values, dropped) if dropped else None


def gains(n, seed=0):
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) ** 4 + 1e-9


@given(n=st.integers(2, 300), target=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_the_quantile_pushes_up_the_wanted_share(n, target, seed):
    gain, slopes = gains(n, seed), gains(n, seed + 1)
    lam = Quantile().lam(gain, slopes, torch.ones(n), target, threshold)
    pushed = int((gain / slopes.clamp(min=1e-6) > lam).sum())
    assert pushed == n - min(n, round((1.0 - target) * n))


@given(scale=st.integers(-20, 20))
def test_the_quantile_scales_with_the_loss(scale):
    gain, slopes = gains(100), gains(100, 1)
    one, other = (Quantile().lam(g, slopes, slopes, 0.1, threshold) for g in (gain, gain * 2.0**scale))
    assert other == one * 2.0**scale


def test_the_quantile_leaves_out_what_is_dead_and_never_pays_for_sparsity():
    gain = torch.tensor([-torch.inf, 1.0, 2.0, 3.0])
    assert Quantile().lam(gain, torch.ones(4), torch.ones(4), 0.5, threshold) == 1.0
    assert Quantile().lam(-gain, torch.ones(4), torch.ones(4), 0.5, threshold) == 0.0
    assert Quantile().lam(gain, torch.ones(4), torch.ones(4), 1.0, threshold) == 0.0
    assert Quantile().lam(gain, torch.tensor([0.0, 0.0, 0.0, 1.0]), torch.ones(4), 0.25, threshold).isfinite()


def test_dual_ascent_follows_the_excess_and_resumes():
    law, mask = DualAscent(0.5), torch.full((10,), 0.5)
    first = law.lam(gains(10), mask, mask, 0.5, threshold)
    torch.testing.assert_close(first, gains(10).mean())
    assert law.lam(gains(10), mask, mask, 0.1, threshold) == pytest.approx(float(first) * 2.718281828**0.5)
    again = DualAscent(0.5)
    again.load_state_dict(law.state_dict())
    assert (
        again.lam(gains(10), mask, mask, 0.9, threshold)
        == law.lam(gains(10), mask, mask, 0.9, threshold)
        < first * 2
    )


def test_a_given_lam_stays():
    assert Given(0.25).lam(gains(3), gains(3), gains(3), 0.1, threshold) == 0.25
    assert not Given(0.25).steers


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_lam(bad):
    with pytest.raises(ValueError, match="lam must be positive"):
        Given(bad)


def test_bad_ascent():
    with pytest.raises(ValueError, match="ascent must be positive"):
        DualAscent(0.0)

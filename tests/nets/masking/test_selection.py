"""Exact counts over layers: every distribution sums to the count asked for, and ties go by index."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.granularity.single_weights import DISTRIBUTIONS, layer_counts
from nets.masking.layout import Layout
from nets.masking.selection import select

shapes = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3), st.just(3)),
    ),
    min_size=1,
    max_size=6,
)


def layout_of(shapes):
    return Layout(tuple(f"{i}.weight" for i in range(len(shapes))), tuple(shapes))


@given(shapes, st.floats(0.0, 1.0), st.sampled_from(DISTRIBUTIONS))
def test_the_count_is_met_exactly(shapes, density, distribution):
    layout = layout_of(shapes)
    count = round(density * layout.total)
    scores = torch.randn(layout.total, generator=torch.Generator().manual_seed(0))
    mask = select(scores, layout, count, distribution)
    assert int(mask.sum()) == count
    if distribution != "global":
        counts = layer_counts(layout.shapes, count, distribution)
        assert [int(m.sum()) for m in layout.segments(mask)] == counts
        assert all(0 <= k <= size for k, size in zip(counts, layout.sizes))


@given(shapes, st.floats(0.01, 1.0))
def test_uniform_is_within_one_weight_of_the_density(shapes, density):
    layout = layout_of(shapes)
    count = round(density * layout.total)
    share = count / layout.total
    filled = sum(share * size < 1 for size in layout.sizes)  # each may take one weight from a larger layer
    for k, size in zip(layer_counts(layout.shapes, count, "uniform"), layout.sizes):
        assert abs(k - share * size) <= 1 + filled


def test_erk_is_proportional_to_sum_over_product_where_no_layer_is_full():
    layout = layout_of([(300, 784), (100, 300), (10, 100)])
    counts = layer_counts(layout.shapes, 5324, "erk")
    densities = [k / s for k, s in zip(counts, layout.sizes)]
    shares = [sum(shape) / size for shape, size in zip(layout.shapes, layout.sizes)]
    factor = densities[0] / shares[0]
    assert densities == pytest.approx([factor * share for share in shares], rel=1e-2)
    assert sum(counts) == 5324


def test_erk_fills_small_layers_and_shares_the_rest_out():
    layout = layout_of([(300, 784), (100, 300), (10, 100)])
    counts = layer_counts(layout.shapes, 53240, "erk")
    assert counts[2] == 1000
    assert sum(counts) == 53240


def test_ties_go_to_the_lowest_index():
    layout = layout_of([(2, 3), (4,)])
    assert select(torch.zeros(10), layout_of([(2, 5)]), 4).tolist() == [True] * 4 + [False] * 6
    assert select(torch.zeros(10), layout, 4).nonzero().flatten().tolist() == [0, 1, 2, 6]


def test_errors():
    layout = layout_of([(2, 3)])
    with pytest.raises(ValueError, match="2 scores are NaN: the training has diverged"):
        select(torch.tensor([1.0, float("nan"), 0, 0, 0, float("nan")]), layout, 2)
    with pytest.raises(ValueError, match="unknown distribution 'glbal'; choose one of global, uniform, erk"):
        select(torch.zeros(6), layout, 2, "glbal")

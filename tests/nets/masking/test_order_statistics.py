import torch
from hypothesis import given
from hypothesis import strategies as st

from nets.granularity.single_weights import kth_smallest

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(st.lists(FLOATS, min_size=1, max_size=40), st.data())
def test_it_is_the_entry_of_the_sorted_values(values, data):
    k = data.draw(st.integers(1, len(values)))
    found = kth_smallest(torch.tensor(values), k)
    assert found.shape == ()
    assert found.item() == sorted(values)[k - 1]


def test_nothing_is_changed_and_the_device_is_not_asked_for_values():
    values = torch.tensor([3.0, 1.0, 2.0])
    assert kth_smallest(values, 2) == 2.0
    assert values.tolist() == [3.0, 1.0, 2.0]
    meta = kth_smallest(values.to("meta"), 2)  # reading a value would raise
    assert meta.shape == ()

"""The density wanted: from the origin to the density asked for, never rising."""

from hypothesis import given
from hypothesis import strategies as st

from nets.masking.course import falling_density


@given(
    density=st.floats(0.001, 1.0),
    origin=st.floats(0.001, 1.0),
    begin=st.floats(0.0, 0.4),
    end=st.floats(0.5, 1.0),
    shares=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2).map(sorted),
)
def test_it_falls_from_the_origin_and_stays_at_the_density(density, origin, begin, end, shares):
    origin = max(origin, density)
    first, second = (falling_density(s, density, begin=begin, end=end, origin=origin) for s in shares)
    assert origin + 1e-12 >= first >= second >= density - 1e-12
    assert falling_density(end, density, begin=begin, end=end, origin=origin) == density
    assert falling_density(0.5 * begin, density, begin=begin, end=end, origin=origin) == origin

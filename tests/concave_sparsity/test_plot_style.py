"""Styles: the same method looks the same everywhere, no two lines of a picture alike."""

from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity.plot_style import COLOURS, STYLE_OF, STYLES, look, style_numbers

NAMES = st.lists(st.sampled_from([*STYLE_OF, "mine", "concave mcp(2)", "l1 2:4", "other"]), unique=True)


def grey(colour):
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@given(NAMES.filter(lambda names: len(names) <= len(STYLES)))
def test_no_two_lines_look_alike_and_the_first_of_a_method_has_its_own_style(names):
    numbers = style_numbers(names)
    assert len(set(numbers)) == len(numbers)
    for name, number in zip(names, numbers):
        own = STYLE_OF.get(name.split()[0])
        if own is not None and own not in numbers[: names.index(name)]:
            assert number == own


def test_the_method_of_this_library_has_one_colour_and_l1_another():
    assert style_numbers(["imp", "concave log(0.02)"]) == [STYLE_OF["imp"], STYLE_OF["concave"]]
    assert STYLE_OF["concave"] == STYLE_OF["log"]
    assert look(STYLE_OF["concave"])["color"] != look(STYLE_OF["l1"])["color"]


def test_styles_differ_in_marker_and_dashes_too():
    assert len({(colour, marker) for colour, marker, _ in STYLES}) == len(STYLES)
    assert len({colour for colour, _, _ in STYLES[:COLOURS]}) == COLOURS
    assert len({marker for _, marker, _ in STYLES[:COLOURS]}) == COLOURS
    assert len({str(dashes) for _, _, dashes in STYLES}) == len(STYLES)
    assert all(grey(colour) < 180 for colour, _, _ in STYLES)  # dark enough on white paper


def test_more_lines_than_styles_still_get_one():
    assert len(style_numbers([f"m{i}" for i in range(30)])) == 30
    assert set(style_numbers([*STYLE_OF, "mine"], COLOURS)) == set(range(COLOURS))

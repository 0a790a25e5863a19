import pytest

from nets import Play
from nets.granularity.names import density_under, granularity_kind, granularity_name, n_and_m
from nets.runs.canonical import address, canonical, dense_of, from_form, settled


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [("weight", "weight", "weight"), (" 2 : 4", "2:4", "n:m"), ("01:08", "1:8", "n:m"),
     ("Channel", "channel", "channel")],
)  # fmt: skip
def test_names_have_one_spelling(text, name, kind):
    assert granularity_name(text) == name == granularity_name(name)
    assert granularity_kind(name) == kind


@pytest.mark.parametrize("text", ["", "filter", "4:2", "2:2", "0:4", "2:4:8", "-1:4", "2.0:4"])
def test_other_names_are_refused(text):
    with pytest.raises(ValueError, match="N"):
        granularity_name(text)


def test_the_density_of_n_of_m_is_its_ratio():
    assert density_under("1:8", 0.3) == 0.125
    assert density_under("channel", 0.3) == density_under("weight", 0.3) == 0.3
    assert n_and_m("1:8") == (1, 8)
    assert n_and_m("channel") is None


def test_a_play_has_one_density_under_n_of_m_and_an_address_of_its_own():
    play = Play(granularity="2 : 4", density=0.1)
    assert play == Play(granularity="2:4")
    assert play.density == 0.5
    assert address(play) != address(Play(density=0.5))
    assert from_form(canonical(play)) == settled(play)
    assert dense_of(play) == dense_of(Play())


def test_a_method_that_cannot_is_refused_with_what_it_can():
    with pytest.raises(ValueError, match=r"rigl cannot prune by 2:4; its granularities are weight"):
        address(Play(method="rigl", granularity="2:4"))

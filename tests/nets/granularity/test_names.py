import pytest

from nets import Play
from nets.granularity.names import (
    budget_of,
    density_under,
    granularity_kind,
    granularity_name,
    n_and_m,
    with_budget,
)
from nets.runs.canonical import address, canonical, dense_of, from_form, settled


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [("weight", "weight", "weight"), (" 2 : 4", "2:4", "n:m"), ("01:08", "1:8", "n:m"),
     ("Channel", "channel", "channel"), ("channel:weights", "channel", "channel"),
     ("channel : FLOPs", "channel:flops", "channel")],
)  # fmt: skip
def test_names_have_one_spelling(text, name, kind):
    assert granularity_name(text) == name == granularity_name(name)
    assert granularity_kind(name) == kind


@pytest.mark.parametrize(
    "text", ["", "filter", "4:2", "2:2", "0:4", "2:4:8", "-1:4", "2.0:4", "channel:bytes"]
)
def test_other_names_are_refused(text):
    with pytest.raises(ValueError, match="N"):
        granularity_name(text)


def test_the_density_of_n_of_m_is_its_ratio():
    assert density_under("1:8", 0.3) == 0.125
    assert density_under("channel", 0.3) == density_under("weight", 0.3) == 0.3
    assert n_and_m("1:8") == (1, 8)
    assert n_and_m("channel") is None


def test_budgets_count_operations_of_units_or_weights_of_anything():
    assert with_budget("flops:0.3") == ("channel:flops", 0.3)
    assert with_budget("parameters: 0.1", "2:4") == ("2:4", 0.1)
    assert [budget_of(name) for name in ("weight", "2:4", "channel", "channel:flops")] == [
        *["weights"] * 3,
        "flops",
    ]
    for text in ("0.3", "flops", "flops:0", "bytes:0.5", "flops:x"):
        with pytest.raises(ValueError, match=r'budget must be "flops:SHARE" or "weights:SHARE"'):
            with_budget(text)
    with pytest.raises(ValueError, match="prunes whole units, not 2:4"):
        with_budget("flops:0.3", "2:4")


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

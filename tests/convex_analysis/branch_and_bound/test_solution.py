"""The status equals its string and explains itself."""

from convex_analysis import GlobalStatus


def test_statuses_equal_their_strings_and_have_sentences():
    assert GlobalStatus.OPTIMAL == "optimal"
    assert GlobalStatus("limit") is GlobalStatus.LIMIT
    assert str(GlobalStatus.LIMIT) == "limit"
    assert {status.value for status in GlobalStatus} == {"optimal", "limit"}
    for status in GlobalStatus:
        assert status.sentence.endswith(".")

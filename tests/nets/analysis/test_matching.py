"""The matching criterion against scipy's tests, its error rate by simulation, and its refusals."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nets.analysis.matching import exceeds, is_matching, judge, largest_matching_sparsity

ACCURACY = st.floats(0.0, 1.0).map(lambda v: round(v, 4))
SAMPLE = st.lists(ACCURACY, min_size=3, max_size=8)


@given(SAMPLE, st.data())
def test_paired_test_is_students(a, data):
    b = data.draw(st.lists(ACCURACY, min_size=len(a), max_size=len(a)))
    evidence = exceeds(dict(enumerate(a)), dict(enumerate(b)), 0.01)
    assert evidence.paired
    differences = np.subtract(a, b)
    if differences.std() > 1e-6:
        reference = stats.ttest_1samp(differences, 0.01, alternative="greater")
        assert evidence.p_value == pytest.approx(reference.pvalue, abs=1e-9)
        assert evidence.lower == pytest.approx(reference.confidence_interval(0.95).low, abs=1e-9)
        assert evidence.holds == (reference.pvalue < 0.05) or abs(reference.pvalue - 0.05) < 1e-9


@given(SAMPLE, SAMPLE)
def test_unpaired_test_is_welchs(a, b):
    evidence = exceeds(a, b)
    assert not evidence.paired
    if np.std(a) + np.std(b) > 1e-6:
        reference = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        assert evidence.p_value == pytest.approx(reference.pvalue, abs=1e-9)


def test_the_error_rate_is_what_the_level_says():
    generator = np.random.default_rng(0)
    dense = generator.normal(0.98, 0.002, (4000, 5))
    ticket = generator.normal(0.975, 0.002, (4000, 5))  # exactly the tolerance below: not matching
    wrong = np.mean(
        [is_matching(dict(enumerate(t)), dict(enumerate(d))).holds for t, d in zip(ticket, dense)]
    )
    assert wrong == pytest.approx(0.05, abs=0.012)


def test_equal_accuracies_match_and_a_point_less_does_not():
    assert is_matching([0.98, 0.98, 0.98], [0.98, 0.98, 0.98]).holds
    assert not is_matching([0.97, 0.97, 0.97], [0.98, 0.98, 0.98]).holds
    assert is_matching([0.97, 0.97, 0.97], [0.98, 0.98, 0.98], tolerance=0.02).holds


def test_one_seed_shows_nothing():
    evidence = is_matching([0.99], [0.90])
    assert not evidence.holds
    assert math.isnan(evidence.p_value)
    assert "one seed" in evidence.explain()


def test_a_winning_ticket_also_beats_its_reinitialisation():
    dense, ticket = [0.98, 0.981, 0.979], [0.98, 0.981, 0.98]
    assert judge(ticket, dense, [0.95, 0.951, 0.949]).is_winning
    same = judge(ticket, dense, ticket)
    assert same.is_matching
    assert not same.is_winning
    assert not judge(ticket, dense).is_winning


def test_the_largest_matching_sparsity_stops_at_the_first_failure():
    dense = [0.98, 0.981, 0.979]
    good, bad = [0.98, 0.981, 0.98], [0.95, 0.951, 0.949]
    assert largest_matching_sparsity({0.2: good, 0.1: good, 0.05: bad, 0.02: good}, dense) == pytest.approx(
        0.9
    )
    assert largest_matching_sparsity({0.2: bad, 0.1: good}, dense) is None
    assert largest_matching_sparsity({}, dense) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [0.9]), "score must be not empty"),
        (([0.9], [math.nan]), "reference must be finite"),
        (([0.9], [0.9], -0.1), "tolerance must be 0 or more"),
        (([0.9], [0.9], 0.005, 1.0), "level must be in"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        is_matching(*arguments)


@given(SAMPLE, st.data())
def test_the_interval_is_students_and_worse_mirrors_matching(a, data):
    b = data.draw(st.lists(ACCURACY, min_size=len(a), max_size=len(a)))
    evidence = exceeds(dict(enumerate(a)), dict(enumerate(b)), -0.005)
    differences = np.subtract(a, b)
    if differences.std() > 1e-6:
        both = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
        assert evidence.half_width == pytest.approx((both.high - both.low) / 2, abs=1e-9)
        less = stats.ttest_1samp(differences, -0.005, alternative="less").pvalue
        assert evidence.is_refuted == (less < 0.05) or abs(less - 0.05) < 1e-9
    assert not (evidence.holds and evidence.is_refuted)


def test_the_seeds_named_decide_if_nothing_changes():
    """With the number of seeds named the same differences pass; with one fewer they do not."""
    dense = dict.fromkeys(range(4), 0.97)
    ticket = dict(enumerate([0.961, 0.973, 0.969, 0.966]))
    open_one = judge(ticket, dense)
    assert open_one.word == "undecided"
    needed = open_one.matching.seeds_needed
    assert open_one.text == f"undecided (about {needed} seeds)"
    error = open_one.matching.error * math.sqrt(4)
    distance = open_one.matching.difference + 0.005

    def passes(n):
        return stats.t.ppf(0.95, n - 1) * error / math.sqrt(n) < distance

    assert passes(needed)
    assert not passes(needed - 1)
    assert judge([0.9], [0.9]).text == "undecided (one seed)"
    assert judge([0.90, 0.91, 0.9], [0.97, 0.97, 0.971]).text == "worse"


def test_the_picture_of_a_verdict_shows_interval_and_tolerance():
    verdict = judge(dict(enumerate([0.961, 0.973, 0.969])), dict(enumerate([0.97, 0.971, 0.969])))
    ax = verdict.plot()
    assert ax.get_xlabel() == "difference of the test accuracy, points"
    assert "undecided" in ax.get_title(loc="left")
    assert -0.5 in [line.get_xdata()[0] for line in ax.lines]
    plt.close(ax.figure)

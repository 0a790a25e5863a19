"""Matching and winning tickets as statistical tests over seeds. This module imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nets.configuration import check

#: "Matching" in the literature (Ma et al. 2021): within half a point of the dense accuracy on CIFAR-10.
TOLERANCE = 0.005
LEVEL = 0.95


@dataclass(frozen=True)
class Evidence:
    """A one-sided test that one mean accuracy exceeds another by more than `needed`.

    Parameters
    ----------
    difference : float
        Mean difference of the accuracies, in [-1, 1].
    lower : float
        Lower end of its one-sided confidence interval of level `level`; -inf with fewer than two seeds.
    needed : float
        What `lower` must exceed.
    p_value : float
        Of the hypothesis that the true difference is at most `needed`; NaN with fewer than two seeds.
    seeds : int
        Seeds (the fewer, if the two samples differ in size).
    paired : bool
        Whether differences were taken seed by seed.
    level : float
        Confidence level.
    """

    difference: float
    lower: float
    needed: float
    p_value: float
    seeds: int
    paired: bool
    level: float

    @property
    def holds(self) -> bool:
        """Whether the test is passed."""
        return self.lower > self.needed

    def explain(self) -> str:
        """Return the test in one sentence."""
        if self.seeds < 2:
            return f"one seed cannot show it: difference {100 * self.difference:+.2f} points, no interval"
        verdict = "passed" if self.holds else "not passed"
        return (
            f"{verdict}: difference {100 * self.difference:+.2f} points over {self.seeds} seeds, with "
            f"{100 * self.level:g}% confidence above {100 * self.lower:+.2f} "
            f"(needed {100 * self.needed:+.2f}, p = {self.p_value:.3g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and whether the test is passed, as plain values."""
        return {**asdict(self), "holds": self.holds}


def exceeds(
    accuracy: Mapping[int, float] | Sequence[float],
    reference: Mapping[int, float] | Sequence[float],
    needed: float = 0.0,
    level: float = LEVEL,
) -> Evidence:
    """Test whether the mean of `accuracy` exceeds that of `reference` by more than `needed`.

    Student's test on the differences where both are given by seed and share at least two seeds, else Welch's.

    Parameters
    ----------
    accuracy, reference : mapping of seed to float, or sequence of float
        Accuracies in [0, 1], one a seed.
    needed : float
        Difference to exceed; negative for "not worse by more than".
    level : float
        Confidence level of the one-sided test.

    Raises
    ------
    ValueError
        If a sample is empty or not finite, or the level lies outside (0.5, 1).
    """
    check(0.5 < level < 1, "level", level, "in (0.5, 1)")
    check(math.isfinite(needed), "needed", needed, "finite")
    for name, values in (("accuracy", accuracy), ("reference", reference)):
        numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
        check(len(numbers) > 0, name, values, "not empty")
        check(all(map(math.isfinite, numbers)), name, values, "finite")
    if isinstance(accuracy, Mapping) and isinstance(reference, Mapping):
        shared = sorted(set(accuracy) & set(reference))
        if len(shared) > 1:
            differences = [accuracy[seed] - reference[seed] for seed in shared]
            mean, variance = _moments(differences)
            return _evidence(mean, variance / len(shared), len(shared) - 1, needed, len(shared), True, level)
    a, b = (list(v.values()) if isinstance(v, Mapping) else list(v) for v in (accuracy, reference))
    (mean_a, var_a), (mean_b, var_b) = _moments(a), _moments(b)
    seeds = min(len(a), len(b))
    if seeds < 2:
        return Evidence(mean_a - mean_b, -math.inf, needed, math.nan, seeds, False, level)
    part_a, part_b = var_a / len(a), var_b / len(b)
    spread = part_a + part_b
    freedom = spread**2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1)) if spread else math.inf
    return _evidence(mean_a - mean_b, spread, freedom, needed, seeds, False, level)


def is_matching(
    ticket: Mapping[int, float] | Sequence[float],
    dense: Mapping[int, float] | Sequence[float],
    tolerance: float = TOLERANCE,
    level: float = LEVEL,
) -> Evidence:
    """Test whether a ticket matches: its mean accuracy is less than `tolerance` below the dense one.

    Parameters
    ----------
    ticket, dense : mapping of seed to float, or sequence of float
        Accuracies of the retrained ticket and of the dense network, in [0, 1].
    tolerance : float
        Loss of accuracy that is tolerated; 0.005 is half a point.
    level : float
        Confidence level of the one-sided test.
    """
    check(tolerance >= 0, "tolerance", tolerance, "0 or more")
    return exceeds(ticket, dense, -tolerance, level)


@dataclass(frozen=True)
class Verdict:
    """What is known of a ticket.

    Parameters
    ----------
    matching : Evidence
        Against the dense network.
    better_than_reinitialised : Evidence or None
        Against the same mask with new initial weights; None if that was not run.
    """

    matching: Evidence
    better_than_reinitialised: Evidence | None

    @property
    def is_matching(self) -> bool:
        """Whether the ticket matches the dense network."""
        return self.matching.holds

    @property
    def is_winning(self) -> bool:
        """Whether it matches and its initial weights are what makes it good (Frankle, Carbin 2019)."""
        better = self.better_than_reinitialised
        return self.matching.holds and better is not None and better.holds

    @property
    def word(self) -> str:
        """The verdict in a word: "winning", "matching" or "not shown"."""
        return "winning" if self.is_winning else "matching" if self.is_matching else "not shown"


def judge(
    ticket: Mapping[int, float] | Sequence[float],
    dense: Mapping[int, float] | Sequence[float],
    reinitialised: Mapping[int, float] | Sequence[float] | None = None,
    tolerance: float = TOLERANCE,
    level: float = LEVEL,
) -> Verdict:
    """Judge whether a ticket is matching, and whether it is winning.

    Parameters
    ----------
    ticket, dense, reinitialised : mapping of seed to float, or sequence of float
        Accuracies of the ticket, of the dense network and of the ticket's mask with new initial weights.
    tolerance, level : float
        See `is_matching`.
    """
    better = None if reinitialised is None else exceeds(ticket, reinitialised, 0.0, level)
    return Verdict(is_matching(ticket, dense, tolerance, level), better)


def largest_matching_sparsity(
    tickets: Mapping[float, Mapping[int, float] | Sequence[float]],
    dense: Mapping[int, float] | Sequence[float],
    tolerance: float = TOLERANCE,
    level: float = LEVEL,
) -> float | None:
    """Return the largest sparsity down to which tickets match, or None if the densest does not.

    The densities are tested from the largest down, each at the full level, and testing stops at the first
    that fails: with this fixed sequence the probability of naming too large a sparsity stays below 1 - level
    whatever the number of densities.

    Parameters
    ----------
    tickets : mapping of density to accuracies
        Accuracies by seed (or as a sequence) for every density.
    dense, tolerance, level
        See `is_matching`.
    """
    found = None
    for density in sorted(tickets, reverse=True):
        if not is_matching(tickets[density], dense, tolerance, level).holds:
            break
        found = 1.0 - density
    return found


def _moments(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


def _evidence(
    mean: float, variance: float, freedom: float, needed: float, seeds: int, paired: bool, level: float
) -> Evidence:
    from scipy.special import stdtr, stdtrit

    deviation = math.sqrt(variance)
    freedom = min(freedom, 1e9)
    lower = mean - float(stdtrit(freedom, level)) * deviation
    if deviation:
        p_value = float(stdtr(freedom, (needed - mean) / deviation))
    else:
        p_value = 0.0 if mean > needed else 1.0
    return Evidence(mean, lower, needed, p_value, seeds, paired, level)

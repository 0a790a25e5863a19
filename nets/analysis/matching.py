"""Matching and winning tickets as statistical tests over seeds. This module imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from concave_sparsity.plot_style import in_style, new_axes
from nets.configuration import check
from nets.metric import ACCURACY, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = 0.95

#: No number of seeds beyond this is named.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Evidence:
    """A one-sided test that one mean score is better than another by more than `needed`.

    Parameters
    ----------
    difference : float
        Mean gain of the first over the second, positive where it is better; in the metric's unit, for shares
        in [-1, 1].
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
    metric : Metric
        What the scores are.
    error : float
        Standard error of the difference; NaN with fewer than two seeds.
    freedom : float
        Degrees of freedom of Student's t; NaN with fewer than two seeds.
    """

    difference: float
    lower: float
    needed: float
    p_value: float
    seeds: int
    paired: bool
    level: float
    metric: Metric = ACCURACY
    error: float = math.nan
    freedom: float = math.nan

    @property
    def holds(self) -> bool:
        """Whether the test is passed."""
        return self.lower > self.needed

    @property
    def is_refuted(self) -> bool:
        """Whether the opposite is shown at the same level: the difference lies below `needed`."""
        return 2 * self.difference - self.lower < self.needed

    @property
    def half_width(self) -> float:
        """Half width of the two-sided interval of the difference, of level `level`; NaN if unknown."""
        if self.seeds < 2:
            return math.nan
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.5 + self.level / 2)) * self.error

    @property
    def seeds_needed(self) -> int | None:
        """Seeds, more than now, that decide an open test if difference and spread stayed what they are.

        None with fewer than two seeds, or where more than `MOST_SEEDS` would not do.
        """
        if self.seeds < 2:
            return None
        from scipy.special import stdtrit

        distance, spread = abs(self.difference - self.needed), self.error * math.sqrt(self.seeds)
        for seeds in range(self.seeds + 1, MOST_SEEDS + 1):
            freedom = seeds - 1 if self.paired else 2 * (seeds - 1)
            if float(stdtrit(freedom, self.level)) * spread < distance * math.sqrt(seeds):
                return seeds
        return None

    @property
    def difference_text(self) -> str:
        """The difference with its two-sided interval as numbers of the unit: "-0.20 ± 0.31"."""
        half = self.half_width
        beside = "" if math.isnan(half) else f" ± {self.metric.gain_number(half).lstrip('+')}"
        return self.metric.gain_number(self.difference) + beside

    def explain(self) -> str:
        """Return the test in one sentence."""
        if self.seeds < 2:
            return (
                f"one seed cannot show it: difference {self.metric.gain_text(self.difference)}, no interval"
            )
        verdict = "passed" if self.holds else "not passed"
        return (
            f"{verdict}: difference {self.metric.gain_text(self.difference)} over {self.seeds} seeds, with "
            f"{100 * self.level:g}% confidence above {self.metric.gain_number(self.lower)} "
            f"(needed {self.metric.gain_number(self.needed)}, p = {self.p_value:.3g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and whether the test is passed, as plain values."""
        return {**asdict(self), "metric": self.metric.name, "holds": self.holds}


def exceeds(
    score: Mapping[int, float] | Sequence[float],
    reference: Mapping[int, float] | Sequence[float],
    needed: float = 0.0,
    level: float = LEVEL,
    metric: Metric = ACCURACY,
) -> Evidence:
    """Test whether the mean of `score` is better than that of `reference` by more than `needed`.

    Student's test on the differences where both are given by seed and share at least two seeds, else Welch's.

    Parameters
    ----------
    score, reference : mapping of seed to float, or sequence of float
        Values of the metric, one a seed.
    needed : float
        Gain to exceed; negative for "not worse by more than".
    level : float
        Confidence level of the one-sided test.
    metric : Metric
        What the scores are; it says whether higher is better.

    Raises
    ------
    ValueError
        If a sample is empty or not finite, or the level lies outside (0.5, 1).
    """
    check(0.5 < level < 1, "level", level, "in (0.5, 1)")
    check(math.isfinite(needed), "needed", needed, "finite")
    for name, values in (("score", score), ("reference", reference)):
        numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
        check(len(numbers) > 0, name, values, "not empty")
        check(all(map(math.isfinite, numbers)), name, values, "finite")
    if isinstance(score, Mapping) and isinstance(reference, Mapping):
        shared = sorted(set(score) & set(reference))
        if len(shared) > 1:
            differences = [metric.gain(score[seed], reference[seed]) for seed in shared]
            mean, variance = _moments(differences)
            n = len(shared)
            return _evidence(mean, variance / n, n - 1, needed, n, True, level, metric)
    a, b = (list(v.values()) if isinstance(v, Mapping) else list(v) for v in (score, reference))
    (mean_a, var_a), (mean_b, var_b) = _moments(a), _moments(b)
    seeds = min(len(a), len(b))
    if seeds < 2:
        gain = metric.gain(mean_a, mean_b)
        return Evidence(gain, -math.inf, needed, math.nan, seeds, False, level, metric)
    part_a, part_b = var_a / len(a), var_b / len(b)
    spread = part_a + part_b
    freedom = spread**2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1)) if spread else math.inf
    return _evidence(metric.gain(mean_a, mean_b), spread, freedom, needed, seeds, False, level, metric)


def is_matching(
    ticket: Mapping[int, float] | Sequence[float],
    dense: Mapping[int, float] | Sequence[float],
    tolerance: float | None = None,
    level: float = LEVEL,
    metric: Metric = ACCURACY,
) -> Evidence:
    """Test whether a ticket matches: its mean score is less than `tolerance` worse than the dense one.

    Parameters
    ----------
    ticket, dense : mapping of seed to float, or sequence of float
        Scores of the retrained ticket and of the dense network.
    tolerance : float, optional
        Loss that is tolerated, in the metric's unit; default: what the metric says (accuracy 0.005, which is
        half a point; RMSE and perplexity 1% of the mean dense value).
    level : float
        Confidence level of the one-sided test.
    metric : Metric
        What the scores are.
    """
    if tolerance is None:
        values = list(dense.values()) if isinstance(dense, Mapping) else list(dense)
        tolerance = metric.tolerated(math.fsum(values) / len(values)) if values else 0.0
    check(tolerance >= 0, "tolerance", tolerance, "0 or more")
    return exceeds(ticket, dense, -tolerance, level, metric)


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
    def is_worse(self) -> bool:
        """Whether it is shown to lose more than is tolerated."""
        return self.matching.is_refuted

    @property
    def word(self) -> str:
        """The verdict in a word: "winning", "matching", "worse" or "undecided"."""
        if self.is_matching:
            return "winning" if self.is_winning else "matching"
        return "worse" if self.is_worse else "undecided"

    @property
    def text(self) -> str:
        """The verdict, and where it is open the seeds that would decide it: "undecided (about 12 seeds)"."""
        if self.word != "undecided":
            return self.word
        if self.matching.seeds < 2:
            return "undecided (one seed)"
        needed = self.matching.seeds_needed
        return f"undecided ({f'over {MOST_SEEDS}' if needed is None else f'about {needed}'} seeds)"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the paired difference to the dense network with its interval, beside what is tolerated.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: new ones.

        Returns
        -------
        Axes
        """
        return _drawn(self, ax)


@in_style
def _drawn(verdict: Verdict, ax: Axes | None) -> Axes:
    """Draw the paired difference to the dense network with its interval."""
    ax = new_axes(height=1.7)[0] if ax is None else ax
    evidences = [("to dense", verdict.matching)]
    if verdict.better_than_reinitialised is not None:
        evidences.append(("to new initial weights", verdict.better_than_reinitialised))
    scale, metric = verdict.matching.metric.scale, verdict.matching.metric
    for row, (_, one) in enumerate(evidences):
        half = one.half_width
        half = 0.0 if math.isnan(half) else half
        ax.errorbar(
            scale * one.difference, -row, xerr=scale * half, fmt="o", color="#0072B2", capsize=4, zorder=3
        )
    ax.axvline(0.0, color="#555555", linewidth=1.0)
    needed = scale * verdict.matching.needed
    ax.axvline(needed, color="#D55E00", linestyle=(0, (4, 2)), label="what is tolerated")
    ax.set_yticks([-row for row in range(len(evidences))], [name for name, _ in evidences])
    ax.set_ylim(0.6 - len(evidences), 0.6)
    unit = "points" if metric.unit == "%" else metric.unit
    ax.set_xlabel(f"difference of the test {metric.name}" + (f", {unit}" if unit else ""))
    seeds = verdict.matching.seeds
    ax.set_title(
        f"{verdict.text}: {seeds} seed{'s' * (seeds > 1)}, {100 * verdict.matching.level:g}% intervals"
    )
    ax.legend(loc="best")
    return ax


def judge(
    ticket: Mapping[int, float] | Sequence[float],
    dense: Mapping[int, float] | Sequence[float],
    reinitialised: Mapping[int, float] | Sequence[float] | None = None,
    tolerance: float | None = None,
    level: float = LEVEL,
    metric: Metric = ACCURACY,
) -> Verdict:
    """Judge whether a ticket is matching, and whether it is winning.

    Parameters
    ----------
    ticket, dense, reinitialised : mapping of seed to float, or sequence of float
        Scores of the ticket, of the dense network and of the ticket's mask with new initial weights.
    tolerance, level, metric
        See `is_matching`.
    """
    better = None if reinitialised is None else exceeds(ticket, reinitialised, 0.0, level, metric)
    return Verdict(is_matching(ticket, dense, tolerance, level, metric), better)


def largest_matching_sparsity(
    tickets: Mapping[float, Mapping[int, float] | Sequence[float]],
    dense: Mapping[int, float] | Sequence[float],
    tolerance: float | None = None,
    level: float = LEVEL,
    metric: Metric = ACCURACY,
) -> float | None:
    """Return the largest sparsity down to which tickets match, or None if the densest does not.

    The densities are tested from the largest down, each at the full level, and testing stops at the first
    that fails: with this fixed sequence the probability of naming too large a sparsity stays below 1 - level
    whatever the number of densities.

    Parameters
    ----------
    tickets : mapping of density to scores
        Scores by seed (or as a sequence) for every density.
    dense, tolerance, level, metric
        See `is_matching`.
    """
    found = None
    for density in sorted(tickets, reverse=True):
        if not is_matching(tickets[density], dense, tolerance, level, metric).holds:
            break
        found = 1.0 - density
    return found


def _moments(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


def _evidence(
    mean: float,
    variance: float,
    freedom: float,
    needed: float,
    seeds: int,
    paired: bool,
    level: float,
    metric: Metric,
) -> Evidence:
    from scipy.special import stdtr, stdtrit

    deviation = math.sqrt(variance)
    freedom = min(freedom, 1e9)
    lower = mean - float(stdtrit(freedom, level)) * deviation
    if deviation:
        p_value = float(stdtr(freedom, (needed - mean) / deviation))
    else:
        p_value = 0.0 if mean > needed else 1.0
    return Evidence(mean, lower, needed, p_value, seeds, paired, level, metric, deviation, freedom)

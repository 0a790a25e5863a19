"""A number with its pedigree: certified by an argument that needs no trust in a solver, or an estimate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """A constant of a theorem.

    Attributes
    ----------
    value
        The number used, on the safe side of the true one where it is certified.
    certified
        True if ``value`` is a bound of the true constant in the direction that the theorem needs, up to
        the stated allowance for rounding; False for an estimate.
    method
        How it was obtained, in a few words.
    """

    value: float
    certified: bool
    method: str

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.6g} ({'certified' if self.certified else 'estimate'}: {self.method})"

    def to_dict(self) -> dict[str, float | bool | str]:
        """Return a dictionary of plain values."""
        return {"value": self.value, "certified": self.certified, "method": self.method}

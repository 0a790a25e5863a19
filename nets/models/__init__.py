"""Networks of the lottery-ticket literature, and the user's own."""

from nets.models.building import build

__all__ = ["build"]

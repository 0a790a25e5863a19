"""Networks of the lottery-ticket literature, and the user's own."""

from nets.models.factory import build, reinitialise
from nets.models.registry import ARCHITECTURES, Architecture

__all__ = ["ARCHITECTURES", "Architecture", "build", "reinitialise"]

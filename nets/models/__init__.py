"""Networks of the lottery-ticket literature, and the user's own."""

from nets.models.factory import ARCHITECTURES, Architecture, build, reinitialise

__all__ = ["ARCHITECTURES", "Architecture", "build", "reinitialise"]

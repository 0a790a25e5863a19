"""One self-contained page about a folder of runs: it needs no network, and everything in it is escaped."""

from nets.report.page import write_report

__all__ = ["write_report"]

"""Lets the tests of this folder import `theorem_strategies`, and prints the margins they record."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    rows = []
    for report in terminalreporter.stats.get("passed", []):
        if report.when == "call" and "convex_analysis/theorems" in report.nodeid:
            rows += [f"{name}: {value}" for name, value in report.user_properties if name.startswith("T")]
    if rows and terminalreporter.config.option.verbose >= 0:
        terminalreporter.section("margins (measured / bound; 1 is tight)")
        terminalreporter.write_line("\n".join(rows))

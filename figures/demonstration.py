"""The table that `convex-analysis demo` prints, as the README shows it.

python -m figures.demonstration     run the demonstration and store what it prints (seconds)
"""

from __future__ import annotations

import contextlib
import io
import time

from figures import stored

NAME = "demonstration"


def printed() -> list[str]:
    """Return the lines of the demonstration's table."""
    from convex_analysis.commands.demo import demo

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        demo()
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    blank = [i for i, line in enumerate(lines) if not line]
    return lines[blank[0] + 1 : blank[-1]]


def table() -> str:
    """Return the stored lines as a block of the README."""
    return "\n".join(["```text", *stored.read(NAME)["lines"], "```"])


def main() -> None:
    begun = time.perf_counter()
    lines = printed()
    print(
        stored.write(NAME, {"lines": lines}, time.perf_counter() - begun, "python -m figures.demonstration")
    )


if __name__ == "__main__":
    main()

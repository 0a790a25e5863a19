"""Run the code of a page: its python blocks in one namespace, its commands in between, what they print.

``python tests/docs/page_runner.py docs/tutorials/mask.md ...`` writes what is printed into the pages.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

#: A block of code, and the block of text that follows it, which shows what it prints.
BLOCK = re.compile(r"```(python|sh)\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)


def run(page: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Yield every block with what it prints, run in the present folder."""
    module = sys.modules["page"] = types.ModuleType("page")
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block[1] == "python":
                name = f"{page.name}: {block[2][:40]!r}"
                exec(compile(block[2], name, "exec", dont_inherit=True), module.__dict__)
            else:
                for line in block[2].replace("\\\n", " ").splitlines():
                    _command(line)
        yield block, "\n".join(line.rstrip() for line in printed.getvalue().rstrip().split("\n"))


def _command(line: str) -> None:
    """Run a command of this library in this process; others are not run."""
    import convex_analysis.command_line
    import nets.command_line

    mains = {"lottery": nets.command_line.main, "convex-analysis": convex_analysis.command_line.main}
    name, *arguments = shlex.split(line) or [""]
    if name not in mains:
        raise ValueError(f"a page runs the commands {', '.join(mains)}, got {line!r}")
    try:
        mains[name](arguments)
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"{line!r} ended with status {ended.code}") from None


#: Words of tables that hang on numbers.
VERDICTS = {"ahead", "behind", "matching", "none", "shown", "undecided", "winning", "worse"}


def words(text: str) -> list[str]:
    """Return the words of a text; numbers, and verdicts on them, differ from processor to processor."""
    return [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in VERDICTS]


def write(page: Path) -> None:
    """Write what the blocks print into the page."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block, printed in run(page):
            if block[3] is not None:
                new = f"```{block[1]}\n{block[2]}```\n\n```text\n{printed}\n```\n"
                text = text.replace(block[0], new)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    for name in sys.argv[1:]:
        write(Path(name).resolve())

"""Text that every Python has: sentences of documentation strings, read from the sources, nothing imported.

The standard library's modules are split into two parts by the order of their names, so that no sentence of
a calibration comes from a file whose other sentences are judged; a second kind of text, other packages'
documentation, is judged as well. What there is depends on the versions installed: results name them.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

SHORTEST, LONGEST = 40, 300
#: Packages whose documentation is judged beside the standard library's: their texts are long and well kept.
OTHERS = ("numpy", "scipy", "sklearn")


def sentences(files: Iterable[Path]) -> list[str]:
    """Return the different sentences of the documentation strings of files, in the order of the files."""
    found: dict[str, None] = {}
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.update(dict.fromkeys(_sentences(ast.get_docstring(node) or "")))
    return list(found)


def _sentences(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        flat = " ".join(paragraph.split())
        if ">>>" in flat or "::" in flat or "----" in flat:
            continue  # examples and tables are no sentences
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", flat):
            if SHORTEST <= len(sentence) <= LONGEST and sentence[0].isupper() and sentence[-1] in ".!?":
                yield sentence


@functools.cache
def standard_library(part: int) -> tuple[str, ...]:
    """Return the sentences of every second module of the standard library: part 0 or 1."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [
        file
        for file in sorted(root.rglob("*.py"))
        if not {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(file.relative_to(root).parts)
    ]
    return tuple(sentences(files[part::2]))


@functools.cache
def other_packages() -> tuple[str, ...]:
    """Return the sentences of the documentation of numpy, scipy and scikit-learn that lie in files."""
    files: list[Path] = []
    for name in OTHERS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            root = Path(spec.origin).parent
            files += [f for f in sorted(root.rglob("*.py")) if "tests" not in f.relative_to(root).parts]
    known = set(standard_library(0)) | set(standard_library(1))
    return tuple(s for s in sentences(files) if s not in known)


def sample(text: tuple[str, ...], count: int, seed: int) -> list[str]:
    """Return `count` sentences drawn without replacement; the seed fixes which.

    Raises
    ------
    ValueError
        If there are fewer.
    """
    if count > len(text):
        raise ValueError(f"{count} sentences are asked for, there are {len(text)}: ask for fewer")
    chosen = np.random.default_rng(seed).choice(len(text), count, replace=False)
    return [text[i] for i in chosen]

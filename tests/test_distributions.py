"""What is handed out: the source archive holds all that tests and figures read, the wheel its packages."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("concave_sparsity", "convex_analysis", "nets")

#: What is made in passing and belongs to nobody.
MADE = re.compile(r"__pycache__|\.pyc$|\.lock$|/runs/|^runs/|/\.|\.partial$")


def contents(kind):
    """Return the paths in an archive, as hatchling would put them there."""
    pytest.importorskip("hatchling", reason="hatchling builds the archives")
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    builder = {"sdist": SdistBuilder, "wheel": WheelBuilder}[kind](str(ROOT))
    return {Path(file.distribution_path).as_posix() for file in builder.recurse_included_files()}


def on_disk(folder):
    paths = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path for path in paths if not MADE.search(path)}


def test_the_source_archive_holds_every_file_that_tests_pages_and_figures_read():
    found = contents("sdist")
    for folder in (*PACKAGES, "tests", "docs", "examples", "figures", "benchmarks"):
        assert on_disk(folder), folder
        assert on_disk(folder) <= found, sorted(on_disk(folder) - found)[:5]
    single = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "constraints.txt"}
    assert single | {"Makefile", "mkdocs.yml"} <= found
    for path in re.findall(r"\]\(((?!http)[^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert path in found, path


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else():
    found = contents("wheel")
    for package in PACKAGES:
        assert on_disk(package) <= found, sorted(on_disk(package) - found)[:5]
        assert f"{package}/py.typed" in found
    assert {path.split("/")[0] for path in found} == set(PACKAGES)


def test_commands_and_extras_name_what_is_there():
    from importlib import import_module

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for target in project["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for name in chain(project["dependencies"], *project["optional-dependencies"].values()):
        bare = re.split(r"[<>=\[]", name)[0].lower().replace("_", "-")
        assert bare == project["name"] or re.search(rf"^{re.escape(bare)}==", pinned, re.MULTILINE), name

"""The documentation: every page is there, mathematics is laid out so that it renders, names exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def names(page: Path) -> list[str]:
    return re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_displayed_mathematics_stands_between_blank_lines(page):
    """Else the page shows the source: only a block of its own is rendered as a display."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text)]
    for block in blocks:
        if "$$" in block:
            assert block.startswith("$$"), block[:200]
            assert block.endswith("$$"), block[-200:]
            assert block.count("$$") == 2, block[:200]
        assert block.replace("$$", "").count("$") % 2 == 0, block[:200]


def test_the_table_of_contents_names_pages_that_are_there():
    contents = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(contents) >= 7
    for page in contents:
        assert (ROOT / "docs" / page).is_file(), page


def test_every_theorem_is_linked_from_the_overview():
    text = (ROOT / "docs" / "theory.md").read_text()
    overview, _ = text.split('<a id="notation">', 1)
    assert {f"[T{i}](#t{i})" for i in range(1, 20)} <= set(re.findall(r"\[T\d+\]\(#t\d+\)", overview))
    for anchor in re.findall(r"\]\(#([a-z0-9-]+)\)", text):
        assert f'<a id="{anchor}"></a>' in text, anchor


@pytest.mark.parametrize("page", [page for page in PAGES if names(page)], ids=lambda page: page.stem)
def test_the_reference_describes_names_that_exist(page):
    for name in names(page):
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(import_module(module), attribute)
        except AttributeError:
            found = import_module(name)
        assert found.__doc__, name


def test_everything_public_is_in_the_reference_under_its_public_name():
    described = {name for page in PAGES for name in names(page)}
    for package in ("concave_sparsity", "convex_analysis", "nets", "nets.export", "convex_analysis.losses"):
        module = import_module(package)
        public = {*module.__all__, *getattr(module, "_MODULE_OF", ())} - {"theorems"}
        for name in sorted(public):
            if callable(getattr(module, name)):
                assert f"{package}.{name}" in described, f"{package}.{name}"


def test_every_page_can_be_found_and_every_picture_is_there():
    contents = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES:
        assert str(page.relative_to(ROOT / "docs")) in contents, page
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / picture).is_file(), (page, picture)

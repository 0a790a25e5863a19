import html.parser
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from convex_analysis.commands.report import Report, Table, text, write


def example() -> Report:
    table = Table(
        "Theorems <all>",
        ("name", "here"),
        [("T1", "holds"), ("T2", "does not apply")],
        ["T2: because"],
        ["why 1", "a < b"],
    )
    return Report(
        "Certificate & more",
        [("objective", 1.23456789), ("note", "[x] < 1"), ("gap", math.nan)],
        [table],
        {"a": np.float64(np.inf), "b": [np.nan, 1.5], "c": np.arange(2), "d": {"e": -math.inf}},
    )


def test_terminal() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    example().show(console)
    console.file.close()
    shown = console.export_text()
    for word in (
        "Certificate & more",
        "1.23457",
        "[x] < 1",
        "Theorems <all>",
        "does not apply",
        "T2: because",
    ):
        assert word in shown


class Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in ("meta",):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_whole_and_needs_no_network() -> None:
    content = example().html()
    page = Page()
    page.feed(content)
    assert page.stack == []
    assert page.seen.count("table") == 1
    assert page.seen.count("details") == 2
    for word in ("Certificate & more", "[x] < 1", "Theorems <all>", "T2: because", "a < b"):
        assert word in page.text
    assert "http" not in content


def test_json_has_no_nan() -> None:
    data = json.loads(example().json(), parse_constant=lambda name: pytest.fail(name))
    assert data == {"a": "inf", "b": [None, 1.5], "c": [0, 1], "d": {"e": "-inf"}}


def test_text() -> None:
    assert [text(v) for v in (True, False, math.nan, 0.1, 3, "x")] == ["yes", "no", "-", "0.1", "3", "x"]


def test_write_is_whole_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write(file, "one")
    write(file, b"two")
    assert file.read_text() == "two"
    with pytest.raises(OSError, match="cannot write"):
        write(tmp_path / "missing" / "report.html", "x")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]

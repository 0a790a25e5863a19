"""What pages tell is what is stored: every table of accuracies is written by a command, never by hand."""

import re

import pytest

from figures import claims, demonstration, front, stored, tables
from figures.claims import Claim, Effect


def test_the_tables_of_the_pages_are_the_stored_ones():
    assert tables.outdated() == []


def test_the_demonstration_prints_what_the_readme_shows():
    """Words to the letter; numbers differ a little from processor to processor."""
    number = re.compile(r"\d+\.\d+|\d+")
    now, shown = "\n".join(demonstration.printed()), "\n".join(stored.read(demonstration.NAME)["lines"])
    assert number.sub("0", now) == number.sub("0", shown)
    assert [float(n) for n in number.findall(now)] == pytest.approx(
        [float(n) for n in number.findall(shown)], rel=0.05, abs=1e-4
    )


def test_a_page_that_differs_is_named_and_only_the_table_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "TABLES", {("page.md", "mine"): lambda: "| a |"})
    page = tmp_path / "page.md"
    page.write_text("before <!-- mine: begin --> old <!-- mine: end --> after")
    assert tables.outdated() == ["page.md: mine"]
    monkeypatch.setattr("sys.argv", ["tables", "--check"])
    with pytest.raises(SystemExit, match=r"page.md: mine. Run `python -m figures.tables`"):
        tables.main()
    monkeypatch.setattr("sys.argv", ["tables"])
    tables.main()
    assert page.read_text() == "before <!-- mine: begin -->\n\n| a |\n\n<!-- mine: end --> after"
    assert tables.outdated() == []


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs <!-- mine: begin --> and <!-- mine: end --> once each"):
        tables.written("nothing", "mine", "| a |")


@pytest.mark.parametrize(
    ("mean", "half", "n", "word"),
    [
        (0.3, 0.2, 5, "holds"),
        (-0.3, 0.2, 5, "refuted"),
        (0.1, 0.2, 5, "not shown"),
        (0.2, 0.2, 5, "not shown"),
        (0.3, float("nan"), 1, "not shown"),
    ],
)
def test_a_verdict_follows_from_the_interval(mean, half, n, word):
    assert Effect("5%", mean, half, n).word == word


def test_places_that_differ_are_named():
    effects = [Effect("5%", 0.3, 0.1, 3), Effect("2%", -0.3, 0.1, 3), Effect("1%", 0.0, 0.1, 3)]
    claim = Claim("text", "paper", "MNIST", "points", effects, "command")
    assert claim.verdict == "holds here only at 5%; refuted at 2%; not shown at 1%"
    assert (
        Claim("text", "README", "MNIST", "points", effects[:1], "command", general=False).verdict == "holds"
    )
    assert Claim("text", "paper", "MNIST", "", [], "command").verdict == "not shown: not tried"


def test_effects_are_paired_over_common_seeds():
    found = claims.effect("5%", {0: 98.0, 1: 97.0, 2: 99.0}, {0: 97.5, 1: 96.5, 7: 0.0})
    assert (found.mean, found.half, found.n) == (0.5, 0.0, 2)


def test_a_budget_takes_the_setting_of_best_validation_among_those_it_pays_for():
    def rows(method, epochs, cost, validation, test):
        return [
            {
                "method": method,
                "options": {},
                "epochs": epochs,
                "density": 0.05,
                "seed": seed,
                "test": test,
                "validation": validation + seed / 100,
                "cost": cost,
            }
            for seed in range(3)
        ]

    stored = [
        *rows("imp", 1, 9.0, 0.95, 0.99),
        *rows("imp", 5, 45.0, 0.97, 0.96),
        *rows("imp", 2, 18.0, 0.94, 1.0),
    ]
    found = front.points(stored, "imp", 0.05)
    assert [point.cost for point in found] == [9.0, 18.0, 45.0]
    assert front.within(found, 5) is None
    assert front.within(found, 20).cost == 9.0
    assert front.within(found, 50).cost == 45.0
    assert front.points(stored[:2], "imp", 0.05) == []  # too few seeds

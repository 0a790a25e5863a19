"""The comparison: dense once a seed, one chain for imp, results that do not depend on the workers."""

import io
import json
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from scipy import stats

import nets
from nets.analysis.comparison import Comparison, mean_interval, plan
from nets.analysis.table import against_table, matching_lines, rich_table
from nets.configuration import Play
from nets.result import row_label

SETTINGS = {"epochs": 2, "methods": ("dense", "concave", "imp"), "densities": (0.5, 0.1), "seeds": 2}


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def comparison(told):
    return nets.compare(**SETTINGS, workers=1, on_progress=told.append)


def rows(comparison):
    return [
        {k: v for k, v in result.row().items() if not k.endswith("seconds")} for result in comparison.results
    ]


def test_every_method_density_and_seed_once(comparison):
    keys = [(r.play.seed, r.play.method, r.play.density) for r in comparison.results]
    one = [("dense", 1.0), ("concave", 0.5), ("concave", 0.1), ("imp", 0.5), ("imp", 0.1)]
    assert keys == [(seed, *rest) for seed in (0, 1) for rest in one]


def test_workers_do_not_change_results(comparison):
    once = [row for row in rows(comparison) if row["seed"] == 0]
    assert once
    assert rows(nets.compare(**SETTINGS | {"seeds": 1}, workers=2)) == once


def test_results_are_those_of_single_plays(comparison):
    result = next(r for r in comparison.results if r.play.method == "imp" and r.play.density == 0.1)
    alone = nets.play(result.play)
    assert alone.test_accuracy == result.test_accuracy
    assert alone.dense_test_accuracy == result.dense_test_accuracy
    assert alone.search_epochs == result.search_epochs


def test_progress_ends_at_the_total(comparison, told):
    assert told[-1].done == told[-1].total
    assert [p.done for p in told] == sorted(p.done for p in told)


def test_one_job_holds_the_chain_of_imp():
    jobs = list(plan([Play()], ("dense", "imp", "random"), (0.5, 0.1)))
    assert [(j.play.method, j.densities) for j in jobs] == [
        ("imp", (0.5, 0.1)),
        ("random", (0.5,)),
        ("random", (0.1,)),
    ]
    assert jobs[0].epochs == 20 * 11 + 2 * 20  # 0.8**10 is the last density above 0.1


def test_table(comparison):
    table = comparison.table()
    assert [(row["method"], row["density"]) for row in table][:2] == [("dense", 1.0), ("concave", 0.5)]
    row = table[1]
    values = [
        r.test_accuracy for r in comparison.results if r.play.method == "concave" and r.play.density == 0.5
    ]
    assert row["accuracy"] == pytest.approx(sum(values) / 2)
    assert row["seeds"] == 2
    assert row["penalty"] == "log(0.02)"
    assert rich_table(comparison).row_count == 5


def made(comparison, accuracies, **changes):
    """Return results of a ticket at 10% with these accuracies; the dense network reaches 0.9."""
    model = next(r for r in comparison.results if r.play.method == "concave" and r.play.density == 0.1)
    return [
        replace(
            model,
            play=replace(model.play, seed=seed, **changes),
            test_score=accuracy,
            dense_test_score=0.9,
        )
        for seed, accuracy in enumerate(accuracies)
    ]


def test_verdicts_need_the_interval_and_winning_needs_the_reinitialised_ticket(comparison):
    even, wild, low = (0.899, 0.9, 0.901), (0.87, 0.9, 0.93), (0.8, 0.81, 0.8)
    results = [
        *made(comparison, even),
        *made(comparison, low, control="reinitialise"),
        *made(comparison, even, density=0.5),
        *made(comparison, even, density=0.5, control="reinitialise"),
        *made(comparison, wild, density=0.05),
        *made(comparison, even, density=0.02),
    ]
    known = Comparison(tuple(results))
    verdicts = {(row["density"], row["control"]): row["verdict"] for row in known.table()}
    assert verdicts == {
        (0.1, ""): "winning",
        (0.1, "reinitialise"): "",
        (0.5, ""): "matching",
        (0.5, "reinitialise"): "",
        (0.05, ""): "undecided",
        (0.02, ""): "matching",
    }
    assert known.largest_matching_sparsities() == {"concave log(0.02)": 0.9}  # 2% comes after a failure
    assert matching_lines(known)[-1].split() == ["concave", "log(0.02)", "90%"]
    none = Comparison(tuple(made(comparison, low)))
    assert none.table()[0]["verdict"] == "worse"
    assert none.table()[0]["to_dense"].startswith("-9.67 ± ")
    assert none.largest_matching_sparsities() == {"concave log(0.02)": None}
    alone = Comparison(tuple(replace(r, dense_test_score=math.nan) for r in made(comparison, low)))
    assert alone.largest_matching_sparsities() == {}
    assert alone.table()[0]["verdict"] == ""


def test_differences_to_a_method_are_paired_by_seed_and_say_what_is_shown(comparison):
    one, better, wild = (0.80, 0.90, 0.85), (0.81, 0.911, 0.86), (0.7, 0.9, 0.99)
    l1 = [r for density in (0.1, 0.5) for r in made(comparison, one, method="l1", density=density)]
    ours = [*made(comparison, better), *made(comparison, wild, density=0.5)]
    alone = made(comparison, one, density=0.2)
    shuffled = made(comparison, wild, control="shuffle")
    known = Comparison((*l1, *ours, *alone, *shuffled))
    found = {row["density"]: row for row in known.against("l1")}
    assert set(found) == {0.1, 0.5}  # at 20% there is no l1
    differences = [new - old for new, old in zip(better, one)]
    mean, half = mean_interval(differences)
    assert found[0.1]["difference"] == pytest.approx(mean)
    assert found[0.1]["interval"] == pytest.approx(half)
    assert (found[0.1]["shown"], found[0.5]["shown"]) == ("ahead", "")
    assert known.against("concave")[0]["shown"] == "behind"
    assert known.against("concave log(0.02)") == known.against("concave")
    assert against_table(known, "l1").row_count == 2
    with pytest.raises(ValueError, match=r"\(l1, concave log\(0.02\)\), got 'imp'"):
        known.against("imp")


def test_granularities_and_options_are_rows_of_their_own(comparison, tmp_path):
    changes = [{}, {"granularity": "channel"}, {"options": {"law": "dual"}}]
    both = Comparison(tuple(r for change in changes for r in made(comparison, (0.8, 0.9), **change)))
    assert [(r["granularity"], r["options"], r["seeds"]) for r in both.table()] == [
        ("weight", {}, 2),
        ("channel", {}, 2),
        ("weight", {"law": "dual"}, 2),
    ]
    labels = ["concave log(0.02)", "concave log(0.02) channel", "concave log(0.02) law=dual"]
    assert [row_label(row) for row in both.table()] == labels
    assert list(both.largest_matching_sparsities()) == labels
    assert json.loads(both.save(tmp_path / "b.json").read_text())["largest_matching_sparsities"].keys() == {
        *labels
    }


def test_interval_is_students():
    values = [0.97, 0.98, 0.985, 0.975, 0.99]
    mean, half = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=mean, scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert math.isnan(mean_interval([0.5])[1])


def test_json_holds_everything_and_no_path(tmp_path, comparison):
    path = comparison.save(tmp_path / "new" / "c.json", command="lottery compare")
    text = path.read_text()
    content = json.loads(text)
    assert len(content["results"]) == 10
    assert content["versions"]["torch"]
    assert str(tmp_path) not in text
    assert "data_dir" not in text
    one = Comparison(tuple(replace(r) for r in comparison.results if r.play.seed == 0))
    assert json.loads(one.save(tmp_path / "d.json").read_text())["table"][0]["interval"] is None


def test_picture(tmp_path, comparison):
    from matplotlib.image import imread

    path = comparison.draw(tmp_path / "new" / "c.png")
    picture = imread(path)
    assert picture.shape[0] > 300
    assert picture.shape[1] > 500
    assert picture.std() > 0.05


def test_the_table_fits_80_columns_and_cuts_no_word(comparison):
    from rich.console import Console

    wide = [replace(r, test_score=0.5 + 0.1 * r.play.seed, dense_test_score=0.9) for r in comparison.results]
    for shown in (comparison, Comparison(tuple(wide))):
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(rich_table(shown))
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        for row in shown.table():
            assert row["to_dense"] in text
            assert row["verdict"] in text
        for word in ("concave", "log(0.02)", "accuracy", "epochs", "kept"):
            assert word in text
        assert all(len(line) <= 80 for line in matching_lines(shown))


def test_what_lies_far_off_does_not_flatten_the_picture(comparison):
    far = [
        replace(r, test_score=0.1 if r.play.density == 0.1 else 0.95 + 0.01 * r.play.seed)
        for r in comparison.results
    ]
    ax = Comparison(tuple(far)).plot()
    low, _ = ax.get_ylim()
    assert low > 40
    assert any(text.get_text().strip() == "10%" for text in ax.texts)  # what is below is told at the edge
    plt.close(ax.figure)

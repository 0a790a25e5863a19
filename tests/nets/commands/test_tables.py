"""What the commands print: nothing cut at 80 columns, columns documented, lines without a terminal."""

import io
import re
import time

import pandas as pd
import pytest
import torch
from rich.console import Console

import nets
from nets import Play
from nets import result as columns
from nets.command_line import main
from nets.commands._progress import Bar
from nets.runs.driver import Progress, Report
from nets.runs.jobs import Job


def printed(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("models",), ("lenet-300-100", "resnet-18-imagenet", "wide-resnet-28-10", "953,010")),
        (("models", "lenet-5"), ("weight", "masked", "yes", "no")),
        (("tasks",), ("classification", "language-model", "perplexity", "label_smoothing")),
        (("methods",), ("continuous-sparsification", "concave", "E: epochs")),
        (("methods", "concave"), ("quantile", "gain_memory")),
        (("query",), ("what it holds", "asked_density", "dense_validation_accuracy", "train_loss")),
        (("data",), ("tiny-imagenet", "100,000 + 10,000", "--fetch")),
    ],
)
def test_tables_fit_80_columns_and_cut_no_word(capsys, monkeypatch, tmp_path, command, words):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CONCAVE_SPARSITY_DATA", str(tmp_path))
    text = printed(capsys, *command)
    assert max(map(len, text[text.index("───") :].split("\n \n")[0].splitlines()[:8])) <= 80
    assert all(word in text for word in words), text
    assert "…" not in text


def test_the_plan_of_a_sweep_fits_80_columns_whatever_the_names(capsys, monkeypatch, tmp_path):
    """The last column was cut off, and empty where there were many methods."""
    monkeypatch.setenv("COLUMNS", "80")
    grid = tmp_path / "sweep.toml"
    grid.write_text(
        'data = ["digits", "tiny-imagenet"]\nmodel = ["wide-resnet-28-10", "resnet-18-imagenet"]\n'
        'method = ["continuous-sparsification", "concave"]\ndensity = [0.2]\nseed = "0..9"\nepochs = 90\n'
    )
    text = printed(capsys, "sweep", str(grid), "--dry-run", "--runs", str(tmp_path / "runs"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if "method" in line).split()[-1] == "epochs"
    assert "wide-resnet-28-10 on tiny-imagenet" in text
    rows = [line.split() for line in lines if "continuous-sparsification" in line]
    assert [row[1] for row in rows] == ["10"] * 4
    assert all(float(row[-1]) == 10 * 180 for row in rows), rows


def test_missing_data_are_named_with_the_command_that_fetches_them(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["data", "mnist", "--data-dir", str(tmp_path)])
    assert "lottery data mnist --fetch" in capsys.readouterr().err


def test_a_wide_answer_is_printed_row_by_row(capsys, monkeypatch, tmp_path):
    frame = pd.DataFrame({f"a_long_name_{i}": [1.5 * i, 2.0] for i in range(12)})
    monkeypatch.setattr("nets.runs.results.query", lambda sql, runs: frame)
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(capsys, "query", "select *", "--runs", str(tmp_path))
    assert re.search(r"^a_long_name_11  16.5$", text, re.MULTILINE)
    assert "row 2 of 2" in text
    narrow = frame[["a_long_name_0", "a_long_name_1"]]
    monkeypatch.setattr("nets.runs.results.query", lambda sql, runs: narrow)
    assert "row 1" not in printed(capsys, "query", "select 1", "--runs", str(tmp_path))


def test_every_column_of_a_result_is_documented(capsys):
    ticket, changes = "concave", {"epochs": 1, "density": 0.5}
    described = {one.strip() for key in columns.RESULTS for one in key.split(",")}
    for row in (
        nets.play(nets.Play(method=ticket, **changes)).row(),
        nets.play(nets.Play(method="dense", epochs=1)).row(),
    ):
        for name in row:
            assert name in described or name.startswith("search_"), name
    text = printed(capsys, "query")
    assert "asked_density" in text
    assert "train_loss" in text


def test_a_ticket_of_equal_layers_says_so():
    linear = torch.nn.Linear(4, 2)
    masks = {"weight": torch.tensor([[True, True, False, False]] * 2)}
    ticket = nets.Ticket(masks, linear.state_dict())
    assert "1 masked layer: 50% of weight\n" in str(ticket)
    twice = nets.Ticket(
        {**masks, "other": masks["weight"]}, {**linear.state_dict(), "other": linear.weight.detach()}
    )
    assert "2 masked layers: 50% of weight and of every other\n" in str(twice)


def test_a_ticket_prints_itself_in_five_lines():
    ticket = nets.find_ticket("lenet-300-100", "digits", density=0.05, epochs=1)
    lines = str(ticket).splitlines()
    assert len(lines) == 5
    assert all(len(line) <= 100 for line in lines)
    assert "2,510 of 50,200 maskable weights (5%)" in lines[0]
    assert "concave, Log(eps=0.02)" in lines[1]
    assert "lenet-300-100 on digits, seed 0, search of 1 epochs" in lines[2]
    assert "3 masked layers" in lines[3]
    left, right, histogram = ticket.plot()
    assert [bar.get_width() for bar in left.patches] == pytest.approx(
        [100 * share for share in ticket.layer_densities.values()]
    )
    assert right.get_xlabel() == "step of the search"
    assert len(histogram.patches) == 20
    assert sum(bar.get_height() for bar in histogram.patches) == pytest.approx(100)
    assert sum(ticket.trace["entries"]) == ticket.total


def test_without_a_terminal_there_are_lines_and_no_silence(monkeypatch):
    monkeypatch.setattr("nets.commands._progress.OFTEN", 0.01)
    out = io.StringIO()
    progress = Progress(more=12.0)
    progress.report(Report(Job(Play(method="imp"), (0.1,)), 3.0, "search 3/4"))
    with Bar(Console(file=out), "reading the data") as bar:
        time.sleep(0.05)
        bar.show(progress)
        time.sleep(0.05)
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("reading the data")
    assert "3 of 12 epochs of training" in lines[-1]
    assert lines[-1].endswith("imp, seed 0")
    quiet = io.StringIO()
    with Bar(Console(file=quiet, quiet=True)):
        time.sleep(0.03)
    assert not quiet.getvalue()

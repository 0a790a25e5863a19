import hashlib
import json
import shutil

import duckdb
import pytest

import nets
from nets import Play
from nets.runs.canonical import address
from nets.runs.execution import execute
from nets.runs.jobs import Job, Keeping
from nets.runs.results import FIRST, BadRunWarning, _load_results, connect, table


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("it's a folder of runs")
    for method in ("concave", "imp"):
        for seed in (0, 1):
            execute(Job(Play(epochs=1, method=method, seed=seed, density=0.5), (0.5,)), Keeping(made))
    return made


def test_the_query_of_the_help(root):
    table = nets.query(
        "select method, density, avg(test_accuracy) as accuracy from results group by all order by all", root
    )
    assert list(table["method"]) == ["concave", "dense", "imp"]
    frame = nets.results(root)
    for row in table.itertuples():
        assert row.accuracy == pytest.approx(frame[frame["method"] == row.method]["test_accuracy"].mean())


def test_every_column_of_the_results_is_there(root):
    found = nets.query("select * from results order by run", root)
    frame = nets.results(root).sort_values("run", ignore_index=True)
    assert set(found.columns) == set(frame.columns)
    for name in ("run", "seed", "kept", "test_accuracy", "asked_density", "penalty", "search_rounds"):
        assert list(found[name].fillna(-1)) == list(frame[name].fillna(-1)), name
    assert nets.query("select kept - total as gone from results where method = 'imp'", root)["gone"].max() < 0
    layer = nets.query(
        "select layer_densities ->> '$.\"1.weight\"' as d from results where method = 'imp'", root
    )
    assert 0 < float(layer["d"][0]) < 1


def test_metrics_of_every_epoch(root):
    found = nets.query("select training, count(*) as n from metrics group by all order by all", root)
    trainings = {"dense": 2, "retrain": 4, "search-0": 4, "search-1": 2, "search-2": 2, "search-3": 2}
    assert dict(zip(found["training"], found["n"])) == trainings
    joined = nets.query(
        "select count(*) as n from metrics join results using (run) where training = 'retrain'", root
    )
    assert joined["n"][0] == 4


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('{root}/*/config.json')",
        "select * from '{root}/{run}/result.json'",
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "copy results to '{root}/stolen.csv'",
        "copy (select 1) to '/tmp/stolen.csv'",
        "attach '{root}/new.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "pragma enable_external_access",
        "select * from 'https://example.com/x.csv'",
        "export database '{root}/export'",
        "select getenv('HOME')",
        "select 1 from frame",
        "selec",
        "",
        "create table x as select 1; select * from glob('/*')",
    ],
)
def test_nothing_else_can_be_reached(root, sql):
    frame = nets.results(root)
    before = sorted(path.name for path in root.iterdir())
    with pytest.raises(ValueError, match="the query"):
        nets.query(sql.format(root=str(root).replace("'", "''"), run=frame["run"][0]), root)
    assert sorted(path.name for path in root.iterdir()) == before


def test_tampered_runs_are_left_out(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    changed = copy / address(Play(epochs=1, method="imp", seed=1, density=0.5)) / "result.json"
    changed.write_text(changed.read_text().replace('"seed": 1', '"seed": 7'))
    moved = copy / ("0" * 32)
    moved.mkdir()
    shutil.copy(copy / address(Play(epochs=1, method="dense")) / "result.json", moved)
    with pytest.warns(BadRunWarning, match="left out 2 runs"):
        found = nets.query("select run, method from results", copy)
    assert sorted(found["method"]) == ["concave", "concave", "dense", "dense", "imp"]


@pytest.mark.parametrize("content", ["", "{", "[]", "nonsense", '{"a": 1}', "\x00" * 10])
def test_damaged_results_do_not_stop_a_query(root, tmp_path, content):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (copy / address(Play(epochs=1, method="imp", seed=1, density=0.5)) / "result.json").write_text(content)
    with pytest.warns(BadRunWarning, match="left out 1 run"):
        assert nets.query("select count(*) as n from results", copy)["n"][0] == 5


def test_a_folder_without_runs(tmp_path):
    found = nets.query("select method, avg(test_accuracy) from results group by all", tmp_path)
    assert found.empty
    assert nets.query("select * from metrics", tmp_path).empty
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        nets.query("select 1", tmp_path / "none")


def test_the_connection_for_those_who_want_more(root):
    with connect(root) as connection:
        assert connection.execute("select count(*) from results").fetchone() == (6,)


def test_the_command(root, capsys):
    from nets.command_line import main

    with pytest.raises(SystemExit) as ended:
        main(
            [
                "query",
                "select method, count(*) as n from results group by all order by all",
                "--runs",
                str(root),
                "--format",
                "json",
            ]
        )
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)[0] == {"method": "concave", "n": 2}
    with pytest.raises(SystemExit) as ended:
        main(["query", "selec", "--runs", str(root)])
    assert ended.value.code == 1
    assert "lottery: the query is wrong" in capsys.readouterr().err


def forged(folder, **changes):
    """Change a result and give it a right sha256."""
    row = json.loads((folder / "result.json").read_text()) | changes
    del row["sha256"]
    row["sha256"] = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    (folder / "result.json").write_text(json.dumps(row, sort_keys=True) + "\n")


@pytest.mark.parametrize("changes", [{"version": 0}, {"revision": 99}], ids=str)
def test_results_of_another_version_are_left_out_as_in_the_data_frame(root, tmp_path, changes):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (folder, *_) = (path.parent for path in copy.glob("*/result.json"))
    forged(folder, **changes)
    with pytest.warns(BadRunWarning, match="1 run whose result.json"):
        told = nets.query("select run from results", copy)
    with pytest.warns(BadRunWarning):
        assert set(told["run"]) == set(nets.results(copy)["run"])
    assert folder.name not in set(told["run"])


def test_one_row_of_odd_types_changes_no_column(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (folder, *_) = (path.parent for path in copy.glob("*/result.json"))
    forged(folder, test_accuracy="much", seed=[1])
    with pytest.warns(BadRunWarning, match="left out 1 run"):
        told = nets.query("select avg(test_accuracy) as mean, count(*) as n from results", copy)
    assert 0 < told["mean"][0] <= 1


def test_a_value_that_one_run_in_thousands_has_stands_in_its_column():
    usual = dict.fromkeys(FIRST, 1.0)
    rows = [{**usual, "run": f"{i}", "search_note": None, "search_x": i} for i in range(4000)]
    rows[2500]["search_note"] = "late"
    rows[7]["search_x"] = "seven"
    with duckdb.connect() as connection:
        _load_results(connection, table(rows))
        found = connection.execute("select run, search_note from results where search_note is not null")
        assert found.fetchall() == [("2500", "late")]
        assert connection.execute("select search_x from results where run = '7'").fetchone() == ("seven",)


@pytest.mark.parametrize("content", ["", '{"training": "search-0", "epo', "[]\n", "{}\n"])
def test_metrics_that_a_crash_left_torn_do_not_stop_a_query(tmp_path, content):
    folder = tmp_path / ("0" * 32)
    folder.mkdir()
    (folder / "metrics.jsonl").write_text(content)
    assert nets.query("select run, training, epoch from metrics", tmp_path).empty

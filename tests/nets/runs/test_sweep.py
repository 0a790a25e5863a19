"""driver"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import nets
from nets import Play
from nets.command_line import main
from nets.runs.canonical import address, dense_of
from nets.runs.folder import RunFolder
from nets.runs.jobs import Job, Keeping, jobs
from nets.runs.sweep import make_plan, plays_of, run_plan
from nets.storage.atomic import StorageError

SWEEP = """
epochs = 2
batch_size = 128
method = ["concave", "imp", "random"]
density = [0.5, 0.3]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    return path


def lottery(*arguments):
    """Run the command in this process; return its status."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_the_command_plans_runs_and_does_nothing_twice(file, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert lottery("sweep", file, "--runs", runs, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "7 runs in" in plan
    assert not runs.exists()
    assert lottery("sweep", file, "--runs", runs, "--workers", 1) == 0
    told = capsys.readouterr()
    assert "7 runs finished" in told.out
    assert "7/7" in told.err
    frame = nets.results(runs)
    assert sorted(frame["method"]) == ["concave"] * 2 + ["dense"] + ["imp"] * 2 + ["random"] * 2
    stamps = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    assert lottery("sweep", file, "--runs", runs, "--workers", 1) == 0
    assert "finished" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()} == stamps


def test_failures_are_isolated_and_summarised(tmp_path, capsys):
    path = tmp_path / "sweep.toml"
    path.write_text('epochs = 1\nmethod = "random"\ndensity = [0.5, 1e-6]\nlr = [0.1, 1e9]\n')
    assert lottery("sweep", path, "--runs", tmp_path / "runs", "--workers", 1) == 1
    told = capsys.readouterr()
    assert "2 runs finished" in told.out
    assert "4 failed" in told.out
    assert "keeps none of the" in told.out
    assert "TrainingDiverged" in told.err
    assert "failure.json" in told.out
    plan = make_plan(
        plays_of({"epochs": 1, "method": "random", "density": 0.5, "lr": [0.1, 1e9]}), tmp_path / "runs"
    )
    assert plan.counts == {"finished": 2, "failed": 2}


def test_the_function_takes_plain_values(tmp_path):
    summary = nets.sweep({"epochs": 1, "method": ["random"], "seed": [0, 1]}, tmp_path, workers=1)
    assert len(summary.finished) == 4
    assert summary.failures == []
    assert len(nets.results(tmp_path)) == 4
    assert nets.sweep([Play(epochs=1, method="random")], tmp_path, workers=1).outcomes == []


def test_two_sweeps_at_once_over_one_folder_do_each_run_once(tmp_path):
    """Two programs of two plans that overlap; every training is told exactly once in the files."""
    runs = tmp_path / "runs"
    program = (
        "import sys, json, nets\n"
        "s = nets.sweep(json.loads(sys.argv[1]), sys.argv[2], workers=1)\n"
        "print(json.dumps([sum(o.computed for o in s.outcomes), len(s.finished), len(s.failures)]))\n"
    )
    grid = {"epochs": 2, "batch_size": 256, "method": ["imp", "concave", "random"], "density": [0.6, 0.4]}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(grid), runs], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [json.loads(process.communicate()[0]) for process in both]
    assert [failures for _, _, failures in told] == [0, 0]
    plan = make_plan(plays_of(grid), runs)
    assert plan.counts == {"finished": 7}
    assert len(nets.results(runs)) == 7
    lines = nets.query("select run, training, epoch, count(*) as n from metrics group by all", runs)
    assert set(lines["n"]) == {1}
    sessions = [json.loads(path.read_text())["sessions"] for path in runs.glob("*/environment.json")]
    assert [len(session) for session in sessions] == [1] * 7
    computed = sum(count for count, _, _ in told)
    assert computed <= 7  # a dense run that a job made on its way is nobody's own


def test_ctrl_c_says_how_to_go_on_and_loses_nothing(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text('epochs = 2000\nmethod = "imp"\ndensity = [0.5, 0.3]\n')
    runs = tmp_path / "runs"
    program = "import sys; from nets.command_line import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sweep", path, "--runs", runs, "--workers", "2", "--interval", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background, Ctrl-C is ignored from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(4000):
        if any(runs.glob("searches/*/checkpoints/search-*.safetensors")):
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the others resume when the same command is given again" in " ".join(out.split())
    assert "Traceback" not in err
    assert list(runs.glob("searches/*/checkpoints/search-*.safetensors"))
    assert not list(runs.rglob("*.damaged"))


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, file, capsys):
    (tmp_path / "runs").write_text("a file, not a folder")
    assert lottery("sweep", file, "--runs", tmp_path / "runs", "--workers", 1) == 1
    assert "lottery: " in capsys.readouterr().err

    def full(path, value, *, durable=True):
        raise StorageError(28, f"cannot write {path}: the disk is full")

    monkeypatch.setattr("nets.runs.folder.write_json", full)
    plan = make_plan(plays_of({"epochs": 1, "method": "random"}), tmp_path / "other")
    with pytest.raises(StorageError, match="the disk is full"):
        run_plan(plan, Keeping(tmp_path / "other"), workers=1)


def test_a_run_that_is_busy_is_waited_for(tmp_path):
    """Another process holds the lock of one run for a while; the sweep does the others first."""
    from nets.runs.canonical import address

    plays = [Play(epochs=1, method="random", seed=seed) for seed in range(2)]
    folder = tmp_path / address(plays[0])
    program = (
        "import sys, pathlib; from nets.runs.folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    order = []
    with subprocess.Popen(
        [sys.executable, "-c", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"

        def ended(job, outcomes):
            order.append((job.play.method, job.play.seed))
            if len(order) == 3:
                threading.Timer(0.5, holder.stdin.close).start()

        summary = run_plan(make_plan(plays, tmp_path), Keeping(tmp_path), workers=1, on_end=ended)
    assert order == [("dense", 0), ("dense", 1), ("random", 1), ("random", 0)]
    assert len(summary.finished) == 4


def test_densities_share_one_chain_and_one_dense_run_serves_all(tmp_path):
    plays = plays_of({"epochs": 4, "method": ["imp", "concave"], "density": [0.4, 0.1], "seed": [0, 1]})
    plan = make_plan(plays, tmp_path)
    assert len(plan.runs) == 8 + 2
    assert [(job.play.method, job.densities) for job in plan.jobs] == [
        ("dense", (1.0,)),
        ("dense", (1.0,)),
        ("imp", (0.4, 0.1)),
        ("imp", (0.4, 0.1)),
        *[("concave", (0.4,))] * 2,
        *[("concave", (0.1,))] * 2,
    ]
    # imp: 11 rounds of 4 epochs down to 10%, two retrainings; concave: one search and one retraining.
    assert plan.epochs == 2 * (4 + (11 * 4 + 2 * 4) + 2 * (4 + 4))
    assert plan.counts == {"new": 10}
    assert not list(tmp_path.iterdir())  # planning writes nothing


def test_the_longest_jobs_come_first(tmp_path):
    plays = plays_of({"epochs": 2, "method": ["random", "concave", "imp"], "density": 0.1})
    plan = make_plan(plays, tmp_path)
    assert [job.play.method for job in plan.jobs] == ["dense", "imp", "concave", "random"]


def test_states_and_what_is_to_do(tmp_path):
    plays = [Play(epochs=1, method="random", seed=seed) for seed in range(3)]
    folders = [RunFolder(tmp_path / address(play)) for play in plays]
    for folder, play in zip(folders, plays):
        folder.path.mkdir()
        folder.open(play)
    folders[0].write_result({})
    folders[1].write_failure("no luck", "")
    plan = make_plan(plays, tmp_path)
    assert plan.counts == {"finished": 1, "failed": 1, "interrupted": 1, "new": 3}
    assert plan.to_do == 5
    again = make_plan(plays, tmp_path, retry_failed=False)
    assert plays[1] not in [play for job in again.jobs for play in job.plays]


def test_dense_runs_asked_for_are_not_made_twice(tmp_path):
    plays = plays_of({"method": ["dense", "random"], "density": [0.1, 0.2]})
    plan = make_plan(plays, tmp_path)
    assert [run.method for run in plan.runs] == ["dense", "random", "random"]
    assert plan.runs[0] == dense_of(plays[0])


def test_jobs_of_plays():
    play = Play(method="imp")
    made = jobs([Play(method="imp", density=d, seed=s) for s in (0, 1) for d in (0.1, 0.3, 0.1)])
    assert [(job.play.seed, job.densities) for job in made] == [(0, (0.3, 0.1)), (1, (0.3, 0.1))]
    assert made[0].plays == (Play(method="imp", density=0.3), Play(method="imp", density=0.1))
    assert Job(play, (0.5, 0.25)).epochs == 7 * 20 + 2 * 20  # 0.8 ** 7 is the first below a quarter

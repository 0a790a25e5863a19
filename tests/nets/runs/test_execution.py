import json
from dataclasses import replace

import pytest

from nets import Play, Ticket
from nets.methods import method, method_names
from nets.runs import execution
from nets.runs.canonical import address, dense_of
from nets.runs.execution import execute
from nets.runs.folder import RunBusy, locked
from nets.runs.jobs import Job, Keeping
from nets.runs.results import result_of
from nets.storage.atomic import StorageError
from nets.training.loop import Hook

QUICK = {"epochs": 2, "batch_size": 128}


def run(root, play, *densities, hooks=(), interval=30.0, say=None, **keeping):
    said = []
    job = Job(play, densities or (play.density,))
    outcomes = execute(job, Keeping(root, interval=interval, **keeping), hooks=hooks, say=say or said.append)
    assert said == [], "something was set aside"
    return outcomes


class Count(Hook):
    """Count the steps and the trainings; stop the run, as Ctrl-C does, after some steps."""

    watches_only = True

    def __init__(self, stop_after=None):
        self.steps = 0
        self.trainings = []
        self.stop_after = stop_after

    def start(self, loop):
        self.trainings.append(loop.name)

    def after_step(self, loop):
        self.steps += 1
        if self.steps == self.stop_after:
            raise KeyboardInterrupt


def files(root, name):
    return {path.parent.name: path.read_bytes() for path in root.glob(f"*/{name}")}


def test_a_run_is_stored_and_never_run_twice(tmp_path):
    play = Play(**QUICK, method="concave", density=0.1)
    (first,) = run(tmp_path, play)
    assert first.computed
    assert not first.failure
    folder = tmp_path / address(play)
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "masks.jsonl",
        "ticket.safetensors",
        "network.safetensors",
        "details.json",
        "result.json",
    }
    count = Count()
    (again,) = run(tmp_path, play, hooks=(count,))
    assert not again.computed
    assert again.row == first.row
    assert count.trainings == []


def test_the_stored_result_is_that_of_play(tmp_path):
    import nets

    play = Play(**QUICK, method="imp", density=0.5)
    run(tmp_path, play)
    stored, played = result_of(Keeping(tmp_path).folder(play)), nets.play(play)
    for name in (
        "density",
        "kept",
        "test_accuracy",
        "dense_test_accuracy",
        "search_epochs",
        "report",
        "metrics",
    ):
        assert getattr(stored, name) == getattr(played, name), name
    assert stored.play == played.play
    ticket = Ticket.load(tmp_path / address(play) / "ticket.safetensors")
    assert ticket.kept == stored.kept


def test_what_is_recorded(tmp_path):
    play = Play(**QUICK, method="concave", density=0.1)
    run(tmp_path, play)
    folder = tmp_path / address(play)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["training"], line["epoch"]) for line in lines] == [
        ("search-0", 1),
        ("search-0", 2),
        ("retrain", 1),
        ("retrain", 2),
    ]
    assert all(0 <= line["validation_accuracy"] <= 1 for line in lines)
    masks = [json.loads(line) for line in (folder / "masks.jsonl").read_text().splitlines()]
    assert [sum(line["counts"]) for line in masks] == [50200, 50200]
    session = json.loads((folder / "environment.json").read_text())["sessions"][0]
    assert session["device"] == "cpu"
    assert set(session["versions"]) >= {"python", "torch", "concave-sparsity"}
    assert len(session["data"]) == 64
    details = json.loads((folder / "details.json").read_text())
    assert len(details["trace"]["lam"]) == len(details["trace"]["step"]) > 0


def test_densities_share_one_chain_and_one_dense_run(tmp_path):
    play = Play(**QUICK, method="imp", options={"keep": 0.5})
    count = Count()
    outcomes = run(tmp_path, play, 0.5, 0.25, 0.3, hooks=(count,))
    assert [outcome.play.density for outcome in outcomes] == [0.5, 0.25, 0.3]
    assert count.trainings == ["search-0", "search-1", "dense", "retrain", "retrain", "retrain"]
    assert {outcome.row["dense"] for outcome in outcomes} == {address(dense_of(play))}
    lines = {o.play.density: (tmp_path / o.address / "metrics.jsonl").read_text() for o in outcomes}
    assert "search-1" not in lines[0.5]  # what this density did not need is not told of it
    assert "search-1" in lines[0.25]


@pytest.mark.parametrize("name", [name for name in method_names() if method(name).chain])
def test_a_ticket_is_the_same_alone_and_along_a_chain(tmp_path, name):
    play = Play(**QUICK, method=name)
    run(tmp_path / "together", play, 0.5, 0.3)
    run(tmp_path / "alone", play, 0.3)
    alone, together = (
        files(tmp_path / "alone", "ticket.safetensors"),
        files(tmp_path / "together", "ticket.safetensors"),
    )
    mine = address(replace(play, density=0.3))
    assert alone[mine] == together[mine]


def test_a_kept_search_goes_on_to_smaller_densities(tmp_path):
    play = Play(**QUICK, method="imp", options={"keep": 0.5})
    run(tmp_path, play, 0.5, keep_search=True, interval=0.0)
    count = Count()
    run(tmp_path, play, 0.25, hooks=(count,), interval=0.0)
    # The first training was taken from the disk: only the second one and the retraining have steps.
    assert count.trainings == ["search-0", "search-1", "retrain"]
    afresh = Count()
    run(tmp_path / "afresh", play, 0.25, hooks=(afresh,))
    assert 2 * count.steps == afresh.steps
    mine = address(replace(play, density=0.25))
    assert (
        files(tmp_path, "ticket.safetensors")[mine] == files(tmp_path / "afresh", "ticket.safetensors")[mine]
    )


@pytest.mark.parametrize("name", method_names())
def test_every_method_resumes_to_the_bit(tmp_path, name):
    """Interrupted in this process at three moments; test_kill.py does it with real deaths."""
    play = Play(epochs=2, batch_size=256, method=name, density=0.3)
    count = Count()
    run(tmp_path / "whole", play, hooks=(count,))
    left = count.steps
    for share in (0.15, 0.5, 0.8):
        moment = round(share * left)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "halted", play, hooks=(Count(moment),), interval=0.0)
        left -= moment - 1  # the step of the interruption was not stored
    run(tmp_path / "halted", play)
    for file in ("ticket.safetensors", "network.safetensors", "metrics.jsonl"):
        assert files(tmp_path / "halted", file) == files(tmp_path / "whole", file)


def test_a_damaged_checkpoint_is_set_aside_and_said_and_the_result_is_the_same(tmp_path):
    play = Play(**QUICK, method="concave")
    run(tmp_path / "whole", play)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halted", play, hooks=(Count(12),), interval=0.0)
    (checkpoint,) = (tmp_path / "halted").glob("searches/*/checkpoints/*.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[-100] ^= 255
    checkpoint.write_bytes(content)
    said = []
    run(tmp_path / "halted", play, say=said.append, keep_search=True)
    (sentence,) = said
    assert "was changed or damaged" in sentence
    assert "search-0.safetensors.damaged" in sentence
    assert checkpoint.with_name("search-0.safetensors.damaged").exists()
    for file in ("ticket.safetensors", "network.safetensors"):
        assert files(tmp_path / "halted", file) == files(tmp_path / "whole", file)


def test_a_checkpoint_of_other_data_is_set_aside(tmp_path, monkeypatch):
    play = Play(**QUICK, method="concave")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, play, hooks=(Count(12),), interval=0.0)
    loaded = execution._loaded
    monkeypatch.setattr(execution, "_loaded", lambda *a: (loaded(*a)[0], "other"))
    said = []
    run(tmp_path, play, say=said.append)
    assert len(said) == 1
    assert "computed with other data" in said[0]


@pytest.mark.parametrize("name", ["ticket.safetensors", "details.json"])
def test_a_damaged_ticket_or_its_details_are_found_again(tmp_path, name):
    play = Play(**QUICK, method="concave")
    run(tmp_path, play)
    folder = tmp_path / address(play)
    whole = files(tmp_path, "ticket.safetensors")
    (folder / "result.json").unlink()
    (folder / name).write_bytes((folder / name).read_bytes()[:50])
    said = []
    run(tmp_path, play, say=said.append)
    assert len(said) == 1
    assert files(tmp_path, "ticket.safetensors") == whole


def test_a_damaged_result_is_set_aside_and_made_again(tmp_path):
    play = Play(**QUICK, method="random")
    run(tmp_path, play)
    path = tmp_path / address(play) / "result.json"
    row = json.loads(path.read_text())
    path.write_text(path.read_text().replace('"test_accuracy": 0', '"test_accuracy": 1'))
    said = []
    (outcome,) = run(tmp_path, play, say=said.append)
    assert "set aside as result.json.damaged" in said[0]
    assert outcome.row["test_accuracy"] == row["test_accuracy"]


class Fail(Hook):
    watches_only = True

    def __init__(self, name, count=1):
        self.name, self.count = name, count

    def after_step(self, loop):
        if loop.name == self.name:
            self.count -= 1
            if self.count == 0:
                raise FloatingPointError("no luck")


def test_a_run_that_fails_leaves_the_others_alone_and_is_tried_again(tmp_path):
    play = Play(**QUICK, method="imp", options={"keep": 0.5})
    first, second = run(tmp_path, play, 0.5, 0.25, hooks=(Fail("retrain", 3),))
    assert first.failure == "FloatingPointError: no luck"
    assert first.row is None
    assert second.row is not None
    folder = Keeping(tmp_path).folder(first.play)
    assert folder.state == "failed"
    assert "after_step" in json.loads((folder.path / "failure.json").read_text())["trace"]
    count = Count()
    first, second = run(tmp_path, play, 0.5, 0.25, hooks=(count,))
    assert first.row
    assert count.trainings == ["retrain"]  # the ticket was stored already
    assert not (folder.path / "failure.json").exists()


@pytest.mark.parametrize("name", ["search-0", "dense"])
def test_a_failure_of_the_search_or_the_dense_network_fails_the_job(tmp_path, name):
    play = Play(**QUICK, method="imp")
    outcomes = run(tmp_path, play, 0.9, 0.85, hooks=(Fail(name),))
    assert all("no luck" in outcome.failure for outcome in outcomes)
    assert all(outcome.row for outcome in run(tmp_path, play, 0.9, 0.85))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "no-such-data"}, "no-such-data"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"density": 1e-6}, "keeps none"),
        ({"lr": 1e6}, "TrainingDiverged"),
        ({"include": "nothing.like.it"}, "nothing.like.it"),
    ],
)
def test_bad_input_is_a_failure_with_a_sentence(tmp_path, change, words):
    (outcome,) = run(tmp_path, Play(**{**QUICK, "method": "random", **change}))
    assert words in outcome.failure


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch):
    import errno

    from nets.storage import atomic

    play = Play(**QUICK, method="concave")
    write, left = atomic.os.write, [2_000_000]

    def limited(handle, view):
        left[0] -= len(view)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, view)

    monkeypatch.setattr(atomic.os, "write", limited)
    with pytest.raises(
        StorageError, match="the disk is full; free some space; nothing stored before was lost"
    ):
        run(tmp_path / "full", play, interval=0.0)
    monkeypatch.undo()
    assert not list((tmp_path / "full").rglob("*.tmp"))
    assert list((tmp_path / "full").glob("searches/*/checkpoints/*.safetensors"))
    resumed, whole = Count(), Count()
    run(tmp_path / "full", play, hooks=(resumed,))
    run(tmp_path / "whole", play, hooks=(whole,))
    assert 0 < resumed.steps < whole.steps  # it went on from what was stored
    assert files(tmp_path / "full", "ticket.safetensors") == files(tmp_path / "whole", "ticket.safetensors")


def test_a_run_that_another_process_works_on_is_left_to_it(tmp_path):
    import subprocess
    import sys

    play = Play(**QUICK, method="random")
    program = (
        "import sys, pathlib; from nets.runs.folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / address(play)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunBusy):
            run(tmp_path, play)
        assert not (tmp_path / address(play) / "config.json").exists()
        holder.stdin.close()
    assert run(tmp_path, play)[0].row


def test_locks_are_released(tmp_path):
    play = Play(**QUICK, method="random")
    run(tmp_path, play)
    with locked(tmp_path / address(play)), locked(Keeping(tmp_path).search_folder(play)):
        pass


def test_a_job_of_several_searches_makes_each_on_its_own(tmp_path):
    play = Play(**QUICK, method="random")
    assert [outcome.play.density for outcome in run(tmp_path, play, 0.2, 0.1)] == [0.2, 0.1]


def test_networks_can_be_left_out(tmp_path):
    play = Play(**QUICK, method="random")
    run(tmp_path, play, keep_network=False)
    assert not (tmp_path / address(play) / "network.safetensors").exists()

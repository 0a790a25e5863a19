import subprocess
import sys

import pytest

import nets
from nets import Play, Ticket
from nets.command_line import main
from nets.runs.canonical import address
from nets.runs.driver import RunFailed, run, stored_ticket

PLAY = Play(epochs=2, batch_size=128, method="random", density=0.3)


def test_a_run_is_made_once_and_read_afterwards(tmp_path):
    first = run(PLAY, tmp_path)
    again = nets.run(PLAY, tmp_path)
    assert again == first
    assert first.play == PLAY
    played = nets.play(PLAY)
    assert (first.test_accuracy, first.kept) == (played.test_accuracy, played.kept)
    assert stored_ticket(PLAY, tmp_path).kept == first.kept
    assert run(folder=tmp_path, epochs=2, batch_size=128, method="random", density=0.3) == first


def test_a_run_that_fails_says_why(tmp_path):
    with pytest.raises(RunFailed, match="no-such-data"):
        run(PLAY, tmp_path, data="no-such-data")
    with pytest.raises(FileNotFoundError, match="run it first"):
        stored_ticket(PLAY, tmp_path)


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_play_keeps_the_run_if_asked(tmp_path, capsys):
    given = ["play", "--method", "random", "--epochs", 2, "--batch-size", 128, "--density", 0.3]
    assert command(*given, "--runs", tmp_path / "runs", "--save", tmp_path / "t.safetensors") == 0
    told = capsys.readouterr().out
    assert (tmp_path / "runs" / address(PLAY) / "result.json").exists()
    assert Ticket.load(tmp_path / "t.safetensors").kept == stored_ticket(PLAY, tmp_path / "runs").kept
    assert command(*given, "--runs", tmp_path / "runs") == 0
    assert capsys.readouterr().out.splitlines()[:3] == told.splitlines()[:3]  # seconds and all: it was read


def test_compare_keeps_its_runs_if_asked(tmp_path, capsys):
    given = [
        "compare",
        "--methods",
        "random",
        "--densities",
        0.3,
        "--seeds",
        1,
        "--epochs",
        2,
        "--workers",
        1,
    ]
    assert command(*given, "--out", tmp_path, "--keep") == 0
    first = capsys.readouterr().out
    assert len(nets.results(tmp_path)) == 2
    assert command(*given, "--out", tmp_path, "--keep") == 0
    assert capsys.readouterr().out == first


@pytest.mark.slow
def test_play_under_torchrun(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = [
        "-m",
        "nets.command_line",
        "play",
        "--method",
        "random",
        "--epochs",
        "2",
        "--runs",
        str(tmp_path),
    ]
    ended = subprocess.run([*torchrun, *given], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("test accuracy") == 1
    assert len(nets.results(tmp_path)) == 2

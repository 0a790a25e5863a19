import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from nets.executors import Ended, run_all, start
from nets.executors.pool import Inline
from nets.executors.processes import Processes


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import pool_tasks

    return pool_tasks


def pools(size=2):
    return [
        lambda function, tell=print: Inline(function, tell),
        lambda f, tell=print: Processes(f, tell, size),
    ]


@pytest.mark.parametrize("make", pools(), ids=["inline", "processes"])
def test_values_come_in_the_order_of_the_tasks(tasks, make):
    told = []
    with make(tasks.square) as pool:
        ended = run_all(pool, range(20), on_end=lambda end: told.append(end.task))
    assert [end.value for end in ended] == [i * i for i in range(20)]
    assert sorted(told) == list(range(20))


@pytest.mark.parametrize("make", pools(), ids=["inline", "processes"])
def test_what_tasks_tell_arrives(tasks, make):
    told = []
    with make(tasks.talk, told.append) as pool:
        run_all(pool, ["a", "b"])
    assert [message for task, message in told if task == "a"] == ["a 0", "a 1", "a 2"]
    assert len(told) == 6


@pytest.mark.parametrize("make", pools(), ids=["inline", "processes"])
def test_failures_are_told_apart(tasks, make):
    with make(tasks.fail_on_odd) as pool:
        ended = run_all(pool, range(4))
    assert [end.failure for end in ended] == ["", "ValueError: 1 is odd", "", "ValueError: 3 is odd"]
    assert isinstance(ended[1].error, ValueError)
    assert "fail_on_odd" in ended[1].trace


def test_an_exception_that_cannot_travel_stays_behind(tasks):
    with Processes(tasks.fail_awkwardly, print, 1) as pool:
        (ended,) = run_all(pool, [0])
    assert ended.failure == "Awkward: awkward"
    assert ended.error is None


def test_a_killed_worker_is_replaced_and_its_task_run_again(tasks, tmp_path):
    with Processes(tasks.die_once, print, 2) as pool:
        ended = run_all(pool, [(str(tmp_path), i) for i in range(6)])
    assert [end.value[0] for end in ended] == list(range(6))
    assert (tmp_path / "died").exists()
    assert len({end.value[1] for end in ended}) >= 2


def test_a_task_that_kills_its_workers_is_given_up_and_the_others_are_not(tasks):
    with Processes(tasks.die_always, print, 2) as pool:
        ended = run_all(pool, range(4))
    assert [end.value for end in ended] == [0, None, 2, 3]
    assert ended[1].failure == "its worker process died 3 times, the last time by signal SIGKILL"


@pytest.mark.parametrize("make", pools(1), ids=["inline", "processes"])
def test_what_cannot_be_done_now_is_done_after_the_others(tasks, tmp_path, make):
    with make(tasks.later_once) as pool:
        ended = run_all(pool, [(str(tmp_path), i) for i in range(3)])
    assert [end.value[0] for end in ended] == [0, 1, 2]
    assert ended[0].value[1] > ended[2].value[1]


def test_threads_and_accelerators_are_shared_out(tasks):
    with Processes(tasks.environment, print, 2, threads=3, accelerators=("4", "7")) as pool:
        ended = run_all(pool, range(40))
    seen = {end.value[2]: end.value[:2] for end in ended}
    assert set(seen.values()) <= {("3", "4"), ("3", "7")}


def test_leaving_stops_the_workers_at_once(tasks):
    pids = []

    def stop(told):
        pids.append(told[1])
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Processes(tasks.sleep, stop, 1) as pool:
        run_all(pool, [60])
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGHUP"])
def test_workers_end_with_their_parent_at_once_and_quietly(how):
    program = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import pool_tasks
        from nets.executors import run_all
        from nets.executors.processes import Processes
        with Processes(pool_tasks.sleep, lambda told: print(told[1], flush=True), 1) as pool:
            run_all(pool, [60])
        """
    )
    here = Path(__file__).parent
    started = [sys.executable, "-c", program, here]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.Signals[how])
        told = parent.stderr.read()  # its end: nobody holds the pipe any longer
    for _ in range(20):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its parent")
    assert told == ""


def test_a_worker_that_tells_of_its_work_when_its_parent_is_gone_ends_without_a_word():
    program = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import pool_tasks
        from nets.executors import run_all
        from nets.executors.processes import Processes
        with Processes(pool_tasks.chatter, lambda told: print(told[1], flush=True), 1) as pool:
            run_all(pool, [sys.argv[2]])
        """
    )
    with tempfile.TemporaryDirectory() as folder:
        started = [sys.executable, "-c", program, Path(__file__).parent, folder]
        with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
            assert parent.stdout.readline() == "0\n"
            parent.send_signal(signal.SIGHUP)
            assert parent.stderr.read() == ""
        assert not (Path(folder) / "failed").exists()


def test_functions_that_workers_cannot_import_are_refused():
    with pytest.raises(ValueError, match="cannot be imported by worker processes"):
        Processes(lambda task, tell: task, print, 2)


def test_the_pool_that_fits(tasks):
    assert isinstance(start(tasks.square, tasks=5, workers=1), Inline)
    assert isinstance(start(tasks.square, tasks=1, workers=4), Inline)
    pool = start(tasks.square, tasks=5, workers=3)
    assert isinstance(pool, Processes)
    assert pool.size == 3
    for wrong in ({"workers": 0}, {"threads": 0}):
        with pytest.raises(ValueError, match="at least 1, got 0"):
            start(tasks.square, tasks=2, **wrong)


def test_ended_tells_nothing_wrong_by_default():
    assert Ended(1).failure == ""


def test_what_tasks_print_is_there_when_they_have_ended(tasks, capfd, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with Processes(tasks.speak, print, 2) as pool:
        run_all(pool, range(4))
    assert sorted(capfd.readouterr().out.split("\n")[:-1]) == [f"said {task}" for task in range(4)]

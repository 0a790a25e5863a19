"""A real scheduler and two real worker processes, one of which is killed."""

import builtins
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

from nets import Play
from nets.executors import run_all, start
from nets.executors.cluster import Cluster
from nets.runs.canonical import address
from nets.runs.execution import execute
from nets.runs.jobs import Job, Keeping
from nets.runs.sweep import make_plan, run_plan

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler, a function that starts workers, and a folder."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(Path.cwd())])}
    environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "10s"
    environment["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"  # it looks at each thread every 10 ms
    log = (folder / "log").open("w")

    def spawn(module, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
        )

    started = []
    file = folder / "scheduler.json"
    started.append(
        spawn("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    )
    for _ in range(300):
        if file.exists():
            break
        time.sleep(0.1)
    told = json.loads(file.read_text())["address"]

    def worker(*arguments):
        started.append(
            spawn(
                "dask_worker",
                told,
                "--no-nanny",
                "--nthreads",
                "1",
                "--local-directory",
                str(folder),
                *arguments,
            )
        )
        return started[-1]

    yield told, worker
    for process in started:
        process.kill()  # to part in peace takes them ten seconds
        process.wait()
    log.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_sweep_on_a_cluster_survives_the_death_of_a_worker(scheduler, tmp_path):
    told, worker = scheduler
    workers = [worker("--name", "one", "--resources", "GPU=1"), worker("--name", "two")]
    # What needs a worker that is up: failures, what tasks tell, resources.
    spec = importlib.util.spec_from_file_location("pool_tasks", HERE / "pool_tasks.py")
    pool_tasks = importlib.util.module_from_spec(spec)
    with ExitStack() as stack:
        stack.callback(sys.modules.pop, "pool_tasks")
        sys.modules["pool_tasks"] = pool_tasks
        spec.loader.exec_module(pool_tasks)
        with Cluster(pool_tasks.fail_on_odd, print, told, tmp_path) as pool:
            ended = run_all(pool, range(3))
        assert [end.failure for end in ended] == ["", "ValueError: 1 is odd", ""]
        heard = []
        with Cluster(pool_tasks.talk, heard.append, told, tmp_path) as pool:
            run_all(pool, ["a"])
            for _ in range(50):
                pool.next(0.1)
                if len(heard) == 3:
                    break
        assert heard == [("a", f"a {part}") for part in range(3)]
        with Cluster(pool_tasks.environment, print, told, tmp_path, needs=lambda task: {"GPU": 1}) as pool:
            ended = run_all(pool, range(4))
        assert [end.failure for end in ended] == [""] * 4
        assert {end.value[2] for end in ended} == {workers[0].pid}

    plays = [Play(epochs=8, method="concave", density=0.1, seed=seed) for seed in range(2)]
    plan = make_plan(plays, tmp_path / "runs")
    killed = []

    def kill_one(progress):
        if not killed and progress.job.play.method == "concave" and progress.epochs >= 2:
            killed.append(progress.job)
            workers[0].send_signal(signal.SIGKILL)

    summary = run_plan(plan, Keeping(tmp_path / "runs", interval=0.1), scheduler=told, on_progress=kill_one)
    assert killed
    assert workers[0].wait(5) == -signal.SIGKILL
    assert workers[1].poll() is None
    assert summary.failures == []
    assert len(summary.finished) == 4
    assert make_plan(plays, tmp_path / "runs").to_do == 0
    execute(Job(plays[0], (0.1,)), Keeping(tmp_path / "here"))
    for name in ("ticket.safetensors", "network.safetensors"):
        here, there = (tmp_path / root / address(plays[0]) / name for root in ("here", "runs"))
        assert here.read_bytes() == there.read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_sweep_survives_a_scheduler_that_is_started_anew(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = f"tcp://127.0.0.1:{port}"

    def spawn(module, *arguments):
        program = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
        return subprocess.Popen(program, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)

    def scheduler():
        return spawn("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))

    def worker():
        return spawn("dask_worker", told, "--no-nanny", "--nthreads", "1")

    started = [scheduler()]
    time.sleep(3)
    started.append(worker())
    plays = [Play(epochs=8, method="concave", density=0.1, seed=seed) for seed in range(2)]

    def restart(progress):
        if len(started) == 2 and progress.job.play.method == "concave" and progress.epochs >= 2:
            started[0].kill()
            started[0].wait()
            started.append(scheduler())
            started.append(worker())  # the first one ends with its scheduler, as its nanny would tell another

    try:
        keeping = Keeping(tmp_path / "runs", interval=0.1)
        plan = make_plan(plays, tmp_path / "runs")
        summary = run_plan(plan, keeping, scheduler=told, on_progress=restart)
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert len(started) == 4
    assert summary.failures == []
    assert make_plan(plays, tmp_path / "runs").to_do == 0


def test_no_scheduler_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("nets.executors.cluster.ANSWER", 1)
    with pytest.raises(ValueError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        start(print, tasks=1, scheduler="tcp://127.0.0.1:9", folder=tmp_path)
    with pytest.raises(ValueError, match="no Dask scheduler answers at nonsense"):
        start(print, tasks=1, scheduler="nonsense://x", folder=tmp_path)


def test_without_dask_one_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **kwargs):
        if name == "distributed":
            raise ImportError(name)
        return real(name, *arguments, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'concave-sparsity\[cluster\]'"):
        start(print, tasks=1, scheduler="tcp://127.0.0.1:9", folder=tmp_path)

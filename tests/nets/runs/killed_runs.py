"""Make runs in child processes that die by SIGKILL at chosen moments; told by test_kill.py what to do.

This process only imports; every run happens in a forked child, so that a dozen deaths cost one start.
"""

import importlib
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
import torch._dynamo  # everything that a run needs is imported here rather than in every child

from nets.configuration import Play
from nets.data import load
from nets.hooks import Hook
from nets.jobs import Job
from nets.runs import execution
from nets.storage import atomic, records

JOBS = {
    "imp": Job(Play(epochs=2, method="imp", density=0.4, rewind=5, options={"keep": 0.7}), (0.4, 0.2)),
    "concave": Job(
        Play(epochs=2, method="concave", density=0.1, momentum=0.9, optimiser="adam", lr=0.002), (0.1,)
    ),
}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class DieAtStep(Hook):
    watches_only = True

    def __init__(self, name, step):
        self.name, self.step = name, step

    def after_step(self, loop):
        if loop.name == self.name and loop.step == self.step:
            die()


def dying_write(name, share, count):
    """Die while writing the file `name` for the `count`-th time, when `share` of it is written."""
    write, seen = os.write, [0]
    opened = {}
    os_open = os.open

    def note_open(path, *args, **kwargs):
        handle = os_open(path, *args, **kwargs)
        opened[handle] = str(path)
        return handle

    def maybe_die(handle, view):
        if f".{name}." in opened.get(handle, ""):
            seen[0] += 1
            if seen[0] == count:
                write(handle, bytes(view)[: int(len(view) * share)])
                die()
        return write(handle, view)

    atomic.os.open, atomic.os.write = note_open, maybe_die


def dying_rename(name, before):
    """Die just before or just after the file `name` is put in its place."""
    replace = os.replace

    def maybe_die(old, new):
        hit = Path(new).name == name
        if hit and before:
            die()
        replace(old, new)
        if hit:
            die()

    atomic.os.replace = maybe_die


def dying_append(name, count):
    """Die when half of a line is appended to the file `name`."""
    append, seen = records.append, [0]

    def maybe_die(path, record):
        seen[0] += path.name == name
        if path.name == name and seen[0] == count:
            with path.open("ab") as file:
                file.write(atomic.json_line(record).encode()[:10])
            die()
        append(path, record)

    records.append = maybe_die


def run(root, job, hooks=(), interval=30.0):
    torch.set_num_threads(1)
    keeping = execution.Keeping(Path(root), interval=interval)
    outcomes = execution.execute(
        JOBS[job], keeping, hooks=hooks, say=lambda text: print(text, file=sys.stderr)
    )
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if failures:
        raise RuntimeError(failures)


def in_child(act):
    """Run `act` in a child process; return its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def died_by_kill(child):
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def finish(root, job):
    status = os.waitpid(in_child(lambda: run(root, job)), 0)[1]
    if status:
        raise RuntimeError(f"the run in {root} did not finish")


def point(root, job, kind, *arguments):
    """Die at one point, then run to the end."""

    def act():
        hooks = ()
        if kind == "step":
            hooks = (DieAtStep(*arguments),)
        else:
            {"write": dying_write, "rename": dying_rename, "append": dying_append}[kind](*arguments)
        run(root, job, hooks, interval=0.0)

    died = died_by_kill(in_child(act))
    finish(root, job)
    return died


def many(root, job, seed):
    """Die again and again after random times, until a child gets through."""
    draw = random.Random(seed)
    for deaths in range(200):
        # With an interval of 0 every step is stored, so each child gets a little further.
        child = in_child(lambda: run(root, job, interval=0.0))
        # Longer with every death: on a busy machine the first ones may come before anything is stored.
        time.sleep(draw.uniform(0.05, 0.4) * (1 + deaths / 5))
        os.kill(child, signal.SIGKILL)
        if not died_by_kill(child):
            return deaths
    raise RuntimeError("no child ever got through")


def main():
    warnings.simplefilter("error")
    load("digits")
    for name in ("nets.playing", "nets.runs.recorder", "nets.runs.stored_trainings", "nets.runs.environment"):
        importlib.import_module(name)
    for line in sys.stdin:
        kind, root, job, *arguments = json.loads(line)
        if kind == "whole":
            finish(root, job)
            answer = False
        elif kind == "many":
            answer = many(root, job, *arguments)
        else:
            answer = point(root, job, kind, *arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # taking down all that is imported takes seconds

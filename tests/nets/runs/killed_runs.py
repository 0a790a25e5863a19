"""Make runs in child processes that die by SIGKILL, or meet an error of the disk, at chosen moments.

test_kill.py and test_faults.py tell it what to do.

This process imports and runs once; every other run happens in a forked child: a dozen deaths cost one start.
"""

import errno
import gc
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

from nets.configuration import Play
from nets.runs import execution
from nets.runs.jobs import Job
from nets.storage import atomic, records
from nets.training.loop import Hook

JOBS = {
    "imp": Job(Play(epochs=2, method="imp", density=0.6, rewind=5, options={"keep": 0.7}), (0.6, 0.4)),
    "concave": Job(
        Play(epochs=2, method="concave", density=0.1, momentum=0.9, optimiser="adam", lr=0.002), (0.1,)
    ),
    "controls": Job(
        Play(epochs=2, method="imp", density=0.5, options={"keep": 0.5}), (0.5,), ("", "shuffle")
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


def dying_rename(name, before, count=1):
    """Die just before or just after the file `name` is put in its place for the `count`-th time."""
    replace, seen = os.replace, [0]

    def maybe_die(old, new):
        seen[0] += Path(new).name == name
        hit = Path(new).name == name and seen[0] == count
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


#: Calls that a disk may refuse, and the error that it gives.
FAULTS = [("open", "EIO"), ("write", "ENOSPC"), ("fsync", "EIO"), ("replace", "EROFS"), ("mkdir", "EDQUOT")]
FAULTS += [("read", "EIO"), ("unlink", "EROFS")]


class Disk:
    """Counts the calls of one kind that concern a folder, and refuses the `refused`-th."""

    def __init__(self, root, kind, number, refused):
        self.root, self.kind, self.refused, self.calls = os.path.realpath(root), kind, refused, 0
        self.error = getattr(errno, number)
        for name in {"read": ["open"]}.get(kind, [kind]):
            module = io if kind == "read" else os
            setattr(module, name, self.maybe(getattr(module, name)))

    def maybe(self, call):
        def asked(what, *arguments, **named):
            path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.path.realpath(what)
            if path.startswith(self.root + os.sep) and not path.endswith(".lock"):
                self.calls += 1
                if self.calls == self.refused:
                    raise OSError(self.error, os.strerror(self.error), path)
            return call(what, *arguments, **named)

        return asked


def faulty(root, job, kind, number, refused):
    """Run with the `refused`-th call of a kind refused; "said", "survived", or what was raised instead."""
    heard, tell = os.pipe()

    def act():
        disk = Disk(root, kind, number, refused)
        try:
            run(root, job, interval=0.0)
            answer = "survived" if disk.calls >= refused else "never"
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            answer = "said" if "StorageError" in text else text
        os.write(tell, answer.encode())

    os.waitpid(in_child(act), 0)
    os.close(tell)
    with open(heard, "rb") as pipe:
        return pipe.read().decode() or "it died"


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


def halt(root, job, name, step):
    """Die at a step of a training, and leave it at that."""
    return died_by_kill(in_child(lambda: run(root, job, (DieAtStep(name, step),), interval=0.0)))


def many(root, job, seed):
    """Die again and again after random times, until a child gets through."""
    draw = random.Random(seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as undisturbed:
        os.waitpid(in_child(lambda: run(undisturbed, job, interval=0.0)), 0)
    whole = time.monotonic() - began
    for deaths in range(200):
        # With an interval of 0 every step is stored, so each child gets a little further.
        child = in_child(lambda: run(root, job, interval=0.0))
        # Longer with every death: on a busy machine the first ones may come before anything is stored. Two
        # together are shorter than the whole.
        time.sleep(whole * draw.uniform(0.05, 0.3) * (1 + deaths / 2))
        os.kill(child, signal.SIGKILL)
        if not died_by_kill(child):
            return deaths
    raise RuntimeError("no child ever got through")


def main():
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:  # what a run imports is there, and kernels are compiled
        run(folder, "concave")
    gc.freeze()  # pages that the collector does not write to stay shared
    for line in sys.stdin:
        kind, root, job, *arguments = json.loads(line)
        if kind == "whole":
            finish(root, job)
            answer = False
        elif kind == "halt":
            answer = halt(root, job, *arguments)
        elif kind == "fault":
            answer = faulty(root, job, *arguments)
        elif kind == "many":
            answer = many(root, job, *arguments)
        else:
            answer = point(root, job, kind, *arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # taking down all that is imported takes seconds

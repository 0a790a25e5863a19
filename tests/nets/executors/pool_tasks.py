"""What the pools of the tests run; workers import it by name."""

import os
import signal
import time
from pathlib import Path

from nets.executors.pool import Later


def square(task, tell):
    return task * task


def talk(task, tell):
    for part in range(3):
        tell(f"{task} {part}")
    return task


def fail_on_odd(task, tell):
    if task % 2:
        raise ValueError(f"{task} is odd")
    return task


class Awkward(Exception):
    """Cannot be rebuilt from its own arguments in another process."""

    def __init__(self, one, two):
        super().__init__("awkward")


def fail_awkwardly(task, tell):
    raise Awkward(1, 2)


def die_once(task, tell):
    """Kill the worker the first time that this task is tried."""
    folder, number = task
    if number == 1 and not (mark := Path(folder) / "died").exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number, os.getpid()


def die_always(task, tell):
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def later_once(task, tell):
    folder, number = task
    mark = Path(folder) / str(number)
    if number == 0 and not mark.exists():
        mark.touch()
        raise Later("not yet")
    return number, time.monotonic()


def environment(task, tell):
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()


def sleep(task, tell):
    tell(os.getpid())
    time.sleep(task)


def chatter(folder, tell):
    """Tell without end; note what goes wrong, as a run does."""
    number = 0
    try:
        while True:
            tell(number)
            number += 1
            time.sleep(0.002)
    except Exception:
        (Path(folder) / "failed").touch()
        raise


def speak(task, tell):
    print(f"said {task}")
    return task

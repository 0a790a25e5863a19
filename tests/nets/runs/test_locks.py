import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from nets.runs.locks import RunBusy, is_locked, locked

HOLDER = (
    "import sys, time, pathlib; from nets.runs.locks import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_one_process_at_a_time_and_death_frees_the_lock(tmp_path, holder):
    folder = tmp_path / "run"
    assert is_locked(folder)
    with pytest.raises(RunBusy, match="another process is working on run"), locked(folder):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    began = time.monotonic()
    with locked(folder, wait=True):
        assert time.monotonic() - began < 10
    assert not is_locked(folder)


def test_a_folder_that_was_never_locked(tmp_path):
    assert not is_locked(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_folder_that_its_holder_removes_meanwhile_is_made_again(tmp_path, monkeypatch, moment):
    """A finished search removes its folder, lock and all, while another process waits for it."""
    folder = tmp_path / "run"
    acquire = FileLock.acquire
    removals = []

    def acquire_late(lock, **options):
        if len(removals) < 3:
            if moment == "after":
                acquire(lock, **options)
            shutil.rmtree(folder)
            removals.append(moment)
            if moment == "after":
                return None
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(folder / ".lock"))
        return acquire(lock, **options)

    monkeypatch.setattr(FileLock, "acquire", acquire_late)
    with locked(folder, wait=True):
        assert (folder / ".lock").exists()
        assert len(removals) == 3
        program = "import sys, pathlib; from nets.runs.locks import is_locked\n"
        program += "print(is_locked(pathlib.Path(sys.argv[1])))"
        told = subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == "True"

"""folder"""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from filelock import FileLock

from nets import Play
from nets.runs.canonical import address, canonical
from nets.runs.folder import BadRun, RunBusy, RunFolder, is_address, is_locked, locked, run_folders

PLAY = Play(epochs=3)

ROW = {
    **dict.fromkeys(("data", "model", "method", "penalty"), "some"),
    **dict.fromkeys(("seed", "kept", "total", "asked_density", "density", "search_epochs_spent"), 1),
    "test_accuracy": 0.5,
}


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / address(PLAY))
    assert made.state == "new"
    made.path.mkdir()
    made.open(PLAY)
    return made


def test_the_states_of_a_run(folder):
    assert folder.state == "interrupted"
    with locked(folder.path):
        # The lock of this very process does not count as somebody else's, so it is asked from another one.
        program = "import sys; from nets.runs.folder import *; print(RunFolder(Path(sys.argv[1])).state)"
        told = subprocess.run(
            [sys.executable, "-c", program, folder.path], capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == "running"
    folder.write_failure("no luck", "trace")
    assert folder.state == "failed"
    folder.write_result(ROW)
    assert folder.state == "finished"
    assert not (folder.path / "failure.json").exists()


def test_config_and_result_come_back(folder):
    assert folder.play() == PLAY
    folder.write_result({**ROW, "none": None})
    assert folder.result() == {**ROW, "none": None, "run": folder.address}


def test_only_folders_named_by_an_address_are_runs(tmp_path):
    (tmp_path / address(PLAY)).mkdir()
    for name in ("searches", "A" * 32, "0" * 31, address(PLAY) + ".damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / ("0" * 32)).symlink_to("/etc")
    (tmp_path / ("1" * 32)).write_text("")
    assert [folder.address for folder in run_folders(tmp_path)] == [address(PLAY)]
    assert not is_address("../" + "0" * 29)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        list(run_folders(tmp_path / "none"))


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_config_of_another_run_is_refused(folder):
    edit(folder.path / "config.json", lambda config: config["form"].update(seed=5))
    with pytest.raises(BadRun, match="another run than the folder's name"):
        folder.play()


def forge(tmp_path, form):
    """Make a folder whose name fits the form that somebody made up."""
    from nets.runs.canonical import digest

    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    made = RunFolder(tmp_path / digest(text))
    made.path.mkdir()
    (made.path / "config.json").write_text(json.dumps({"form": form, "settings": {}}))
    return made


@pytest.mark.parametrize(
    "form",
    [
        {"version": 1, "kind": "subprocess.Popen", "args": ["touch", "trap"]},
        {"version": 1, "kind": "play", "__reduce__": "os.system"},
        {"version": 1, "kind": "play", "density": "__import__('os').mkdir('trap')"},
        {"version": 1, "kind": "play", "options": {"keep": {"py/object": "os.mkdir"}}},
        {"version": 3, "kind": "play"},
    ],
    ids=str,
)
def test_an_unexpected_class_field_or_value_is_refused_and_nothing_is_run(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRun):
        forge(tmp_path, form).play()
    assert not (tmp_path / "trap").exists()


def test_a_factory_in_a_config_is_not_imported_when_the_run_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap_module.py").write_text("open('trap', 'w')\ndef f(): pass\n")
    form = canonical(Play()) | {"data": "trap_module:f", "model": "trap_module:f"}
    assert forge(tmp_path, form).play().data == "trap_module:f"
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}']
)
def test_a_damaged_config_or_result_is_a_sentence(folder, content):
    for name in ("config.json", "result.json"):
        (folder.path / name).write_bytes(content)
    with pytest.raises(BadRun, match=r"config\.json"):
        folder.play()
    with pytest.raises(BadRun, match=r"result\.json"):
        folder.result()


def test_a_changed_result_is_refused(folder):
    folder.write_result(ROW)
    edit(folder.path / "result.json", lambda row: row.update(test_accuracy=0.99))
    with pytest.raises(BadRun, match="changed or damaged"):
        folder.result()


def test_a_result_moved_from_another_run_is_refused(folder, tmp_path):
    folder.write_result(ROW)
    other = RunFolder(tmp_path / ("0" * 32))
    other.path.mkdir()
    (other.path / "result.json").write_bytes((folder.path / "result.json").read_bytes())
    with pytest.raises(BadRun, match="belongs to run"):
        other.result()


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_the_place_of_a_ticket_is_set_aside_and_not_run(folder, tmp_path):
    trap = tmp_path / "trap"
    for content in (pickle.dumps(Payload(trap)), None):
        path = folder.path / "ticket.safetensors"
        path.write_bytes(content) if content else torch.save(Payload(trap), path)
        with pytest.raises(BadRun, match="set aside"):
            folder.ticket()
        assert folder.ticket() is None
    assert not trap.exists()
    assert (folder.path / "ticket.safetensors.damaged-2").exists()


def test_contents_of_a_run_that_would_now_be_another_are_set_aside(folder):
    edit(folder.path / "config.json", lambda config: config["settings"].update(momentum=0.5))
    folder.write_failure("left from then", "")
    said = folder.open(PLAY)
    assert "a default has changed" in said
    assert folder.state == "interrupted"
    assert folder.play() == PLAY
    aside = folder.path.with_name(folder.address + ".damaged")
    assert (aside / "failure.json").exists()
    assert folder.open(PLAY) is None


def test_fields_and_options_that_only_one_version_knows_do_not_count(folder):
    def older(config):
        del config["settings"]["label_smoothing"]
        config["settings"]["of_the_future"] = 1
        config["settings"]["options"].popitem()

    edit(folder.path / "config.json", older)
    assert folder.open(PLAY) is None


def test_a_changed_default_of_an_option_counts(folder):
    edit(folder.path / "config.json", lambda config: config["settings"]["options"].update(descent=-1))
    assert "a default has changed" in folder.open(PLAY)


def test_a_forged_row_with_a_right_sha256_is_no_result(folder):
    folder.write_result({**ROW, "test_accuracy": "much"})
    with pytest.raises(BadRun, match="not the result of a run: there is no number 'test_accuracy'"):
        folder.result()


def test_what_is_no_file_or_no_number_is_refused(folder):
    (folder.path / "result.json").mkdir()
    with pytest.raises(BadRun, match="is missing, or no file"):
        folder.result()
    (folder.path / "details.json").write_text('{"search_seconds": NaN}')
    with pytest.raises(BadRun, match="NaN is no number in JSON"):
        folder.read("details.json")


HOLDER = (
    "import sys, time, pathlib; from nets.runs.folder import locked\n"
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
        program = "import sys, pathlib; from nets.runs.folder import is_locked\n"
        program += "print(is_locked(pathlib.Path(sys.argv[1])))"
        told = subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == "True"

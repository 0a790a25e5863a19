import errno
import os
import stat
import subprocess
import sys

import pytest

from nets.storage import atomic
from nets.storage.atomic import StorageError, remove_temporaries, set_aside, write_bytes, write_json


def test_replaces_the_file_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new folder" / "file"
    write_bytes(path, b"old")
    write_bytes(path, b"new" * 1000)
    assert path.read_bytes() == b"new" * 1000
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_the_file_has_the_usual_permissions(tmp_path):
    write_bytes(tmp_path / "file", b"")
    (tmp_path / "plain").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "plain")]
    assert modes[0] == modes[1]


def test_content_is_on_disk_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    told = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        atomic.os,
        "fsync",
        lambda handle: (
            told.append(f"sync {os.path.basename(os.readlink(f'/proc/self/fd/{handle}'))}"),
            fsync(handle),
        ),
    )
    monkeypatch.setattr(atomic.os, "replace", lambda old, new: (told.append("rename"), replace(old, new)))
    write_bytes(tmp_path / "file", b"content")
    assert [entry.split(".")[0] for entry in told] == ["sync ", "rename", f"sync {tmp_path.name}"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "quota"), (errno.EIO, "disk reports")],
)
@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
def test_an_error_of_the_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, number, words, call):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail(*arguments, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, call, fail)
    with pytest.raises(StorageError, match=words) as caught:
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert caught.value.errno == number
    assert str(path) in str(caught.value)
    assert "nothing stored before was lost" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(atomic.os, "write", lambda handle, view: write(handle, bytes(view[:3])))
    write_bytes(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_is_really_full(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        write_bytes(tmp_path / "file", b"old" * 1000)
        with pytest.raises(StorageError, match="the disk is full; free some space"):
            write_bytes(tmp_path / "file", b"new" * 100_000)
        assert (tmp_path / "file").read_bytes() == b"old" * 1000
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_read_only_folder(tmp_path):
    # Root may write anywhere, so the write is tried as another user.
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(StorageError, match="may not be written to"):
            write_bytes(tmp_path / "file", b"")
        tmp_path.chmod(0o700)
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            write_bytes(tmp_path / "file", b"")
        except StorageError as error:
            status = 0 if "may not be written to" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_path_through_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        write_bytes(tmp_path / "file" / "below", b"")


def test_json_is_one_sorted_line_and_refuses_what_is_no_number(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1, None]})
    assert (tmp_path / "a.json").read_text() == '{"a": [0.1, null], "b": 1}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{"a": [0.1, null], "b": 1}\n'


def test_what_a_killed_writer_leaves_is_removed(tmp_path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from nets.storage import atomic\n"
        "atomic.os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic.write_bytes(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    remove_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_damaged_files_are_set_aside_one_beside_the_other(tmp_path):
    for content in ("one", "two"):
        (tmp_path / "file").write_text(content)
        set_aside(tmp_path / "file")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "file.damaged": "one",
        "file.damaged-2": "two",
    }

import os

import pytest

from nets.storage import records
from nets.storage.atomic import StorageError


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "r.jsonl"
    for i in range(5):
        records.append(path, {"epoch": i})
    assert [record["epoch"] for record in records.read(path)] == [0, 1, 2, 3, 4]
    assert list(records.read(tmp_path / "none")) == []


def test_torn_and_foreign_lines_are_left_out(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a": 1}\nnonsense\n[1]\n{"a": 2}\n{"a": 3')
    assert [record["a"] for record in records.read(path)] == [1, 2]


def test_keep_drops_what_is_not_wanted_and_what_is_torn(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a"')
    records.keep(path, lambda record: record["a"] < 2)
    assert path.read_bytes() == b'{"a": 1}\n'
    before = path.stat().st_mtime_ns
    records.keep(path, lambda record: True)
    assert path.stat().st_mtime_ns == before
    records.keep(tmp_path / "none", lambda record: False)
    assert not (tmp_path / "none").exists()


def test_an_append_that_fails_says_why(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        records.append(tmp_path / "no folder" / "r.jsonl", {"a": 1})


def test_links_lead_nowhere(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "r.jsonl"
    victim.write_text('{"epoch": 1}\n')
    path.symlink_to(victim)
    assert list(records.read(path)) == []
    with pytest.raises(StorageError, match="it is a link, which could lead anywhere; remove it"):
        records.append(path, {"epoch": 2})
    records.keep(path, lambda record: True)
    assert not path.is_symlink()
    assert victim.read_text() == '{"epoch": 1}\n'


def test_what_is_no_plain_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")  # reading it would wait for ever
    assert list(records.read(tmp_path / "fifo")) == []
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(2**33)
    assert list(records.read(tmp_path / "giant")) == []

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


def test_a_file_is_made_to_hold_what_it_should(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a"')
    records.replace(path, records.text([{"a": 1}]))
    assert path.read_bytes() == b'{"a": 1}\n'
    before = path.stat().st_mtime_ns
    records.replace(path, b'{"a": 1}\n')
    assert path.stat().st_mtime_ns == before
    records.replace(path, b"")
    assert not path.exists()
    records.replace(path, b"")
    assert not path.exists()


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
    records.replace(path, b'{"epoch": 1}\n')
    assert not path.is_symlink()
    assert victim.read_text() == '{"epoch": 1}\n'

"""folder"""

import dataclasses
import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nets.data import SOURCES, inventory
from nets.data import folder as data_folders
from nets.data.folder import data_folder, locate, obtain, remedy, unpack
from nets.data.source import DownloadError, Form, PublishedFile, RawData, Source


def test_data_folder_is_given_or_named_or_a_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CONCAVE_SPARSITY_DATA", str(tmp_path / "named"))
    assert data_folder("/given") == Path("/given")
    assert data_folder() == tmp_path / "named"
    monkeypatch.delenv("CONCAVE_SPARSITY_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "concave-sparsity"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_folder() == Path.home() / ".cache" / "concave-sparsity"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A made-up data set on a made-up site: an archive with one file; counts how often it is fetched."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "inner").write_bytes(b"\0\1" * 50)
    with tarfile.open(tmp_path / "site" / "set.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "site" / "inner", "top/labels")
    archive = (tmp_path / "site" / "set.tar.gz").read_bytes()
    fetched = []

    def download(file, folder, progress=None):
        fetched.append(file.name)
        (folder / file.name).write_bytes(archive)
        return folder / file.name

    def read(folder, verify):
        y = np.frombuffer((folder / "labels").read_bytes(), dtype=np.uint8).astype(np.int64)
        return RawData(np.zeros((len(y), 1, 2, 2), np.uint8), y, class_names=("a", "b"))

    monkeypatch.setattr(data_folders, "download", download)
    form = Form(
        folders=("top",),
        files=(PublishedFile("labels"),),
        read=read,
        archive=PublishedFile(
            "set.tar.gz", (hashlib.md5(archive).hexdigest(),), len(archive), ("https://site/set.tar.gz",)
        ),
        unpacked_size=1000,
    )
    source = Source("made-up", "", 2, (1, 2, 2), 100, 0, (0.5,), (0.5,), "", forms=(form,))
    return source, fetched


def test_an_archive_is_fetched_once_and_removed(published, tmp_path):
    source, fetched = published
    root = tmp_path / "data"
    assert locate(source, root) is None
    with pytest.raises(
        FileNotFoundError, match=r"Put set.tar.gz from https://site/ into .*, or name your data folder"
    ):
        obtain(source, root, fetch=False)
    assert not root.exists()
    for _ in range(2):
        assert obtain(source, root)[1] == root / "top"
    assert fetched == ["set.tar.gz"]
    assert sorted(p.name for p in root.iterdir() if not p.name.endswith(".lock")) == ["top"]


def test_two_at_once_fetch_once(published, tmp_path):
    source, fetched = published
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(obtain(source, tmp_path / "data")[1]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [tmp_path / "data" / "top"] * 4
    assert fetched == ["set.tar.gz"]


def test_an_archive_brought_by_hand_is_kept(published, tmp_path):
    source, fetched = published
    root = tmp_path / "data"
    root.mkdir()
    (root / "set.tar.gz").write_bytes((tmp_path / "site" / "set.tar.gz").read_bytes())
    assert obtain(source, root, fetch=False)[1] == root / "top"
    assert (root / "set.tar.gz").is_file()
    assert fetched == []


def test_without_a_network_the_remedy_is_told(tmp_path, monkeypatch):
    def download(file, folder, progress=None):
        raise DownloadError(f"{file.name} could not be downloaded (no network)")

    monkeypatch.setattr(data_folders, "download", download)
    with pytest.raises(DownloadError) as caught:
        obtain(SOURCES["mnist"], tmp_path)
    text = str(caught.value)
    for part in (
        "mnist is not in",
        "no network",
        "t10k-labels-idx1-ubyte.gz",
        str(tmp_path / "mnist"),
        "CONCAVE_SPARSITY_DATA",
    ):
        assert part in text


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="name a data folder of your own"):
        obtain(SOURCES["mnist"], tmp_path / "file" / "data")


def test_inventory_tells_what_is_there(tmp_path):
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(b"")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for file in SOURCES["cifar10"].forms[1].files:
        (folder / file.name).write_bytes(b"")
    found = {item.source.name: item for item in inventory(tmp_path)}
    assert list(found) == list(SOURCES)
    assert {name: item.status for name, item in found.items()} == {
        "digits": "bundled",
        "mnist": "absent",
        "fashion-mnist": "absent",
        "cifar10": "here",
        "cifar100": "archive",
        "tiny-imagenet": "absent",
    }
    assert found["cifar10"].path == folder
    assert found["digits"].ready
    assert not found["mnist"].ready


@pytest.mark.parametrize("name", SOURCES)
def test_every_data_set_declares_what_it_needs(name):
    source = SOURCES[name]
    assert source.name == name
    assert source.title
    assert source.reference
    assert len(source.mean) == len(source.std) == source.input_shape[0]
    assert 0 < source.validation < source.n_train
    assert (source.bundled is None) == bool(source.forms)
    assert remedy(source, Path("/data"))
    for form in source.forms:
        for file in form.downloads:
            assert file.urls
            assert file.size > 0
            assert all(len(digest) == 32 for digest in file.md5)
            assert file.md5
        if form.archive:
            assert form.unpacked_size > form.archive.size
        assert dataclasses.is_dataclass(form)


LIMIT = 10_000


def tar_of(path, *members: tarfile.TarInfo | tuple[str, bytes], mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path, *members: tuple[str | zipfile.ZipInfo, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tar_is_unpacked(tmp_path, mode):
    folder = special("top", tarfile.DIRTYPE)
    archive = tar_of(tmp_path / "a", folder, ("top/one", b"1"), ("./top/sub/two", b"22"), mode=mode)
    unpack(archive, tmp_path / "top", LIMIT)
    assert contents(tmp_path / "top") == {"one": b"1", "sub/two": b"22"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "top"]


def test_zip_is_unpacked(tmp_path):
    archive = zip_of(tmp_path / "a", ("top/", b""), ("top/one", b"1"), ("top/sub/two", b"22"))
    unpack(archive, tmp_path / "top", LIMIT)
    assert contents(tmp_path / "top") == {"one": b"1", "sub/two": b"22"}


HOSTILE_NAMES = ["../outside", "top/../../outside", "/tmp/outside", "top/..", "..\\outside", "C:outside"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, make, name):
    root = tmp_path / "inner" / "root"
    root.mkdir(parents=True)
    archive = make(root / "a", ("top/good", b"1"), (name, b"bad"))
    with pytest.raises(ValueError, match="would be written elsewhere"):
        unpack(archive, root / "top", LIMIT)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a"]
    assert [p.name for p in root.iterdir()] == ["a"]


@pytest.mark.parametrize(
    "member",
    [
        special("top/link", tarfile.SYMTYPE, "/etc"),
        special("top/link", tarfile.LNKTYPE, "top/good"),
        special("top/device", tarfile.CHRTYPE),
        special("top/pipe", tarfile.FIFOTYPE),
    ],
    ids=["symbolic link", "hard link", "device", "pipe"],
)
def test_links_and_devices_are_refused(tmp_path, member):
    archive = tar_of(tmp_path / "a", ("top/good", b"1"), member, ("top/link/passwd", b"bad"))
    with pytest.raises(ValueError, match="link or device"):
        unpack(archive, tmp_path / "top", LIMIT)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("top/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "a", ("top/good", b"1"), (link, b"/etc"))
    with pytest.raises(ValueError, match="link or device"):
        unpack(archive, tmp_path / "top", LIMIT)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_bomb_is_refused(tmp_path, make):
    archive = make(tmp_path / "a", ("top/big", b"\0" * (LIMIT + 1)))
    assert archive.stat().st_size < LIMIT
    with pytest.raises(ValueError, match=f"more than {LIMIT} bytes"):
        unpack(archive, tmp_path / "top", LIMIT)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95, -1])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_truncated_archive_leaves_nothing(tmp_path, make, keep):
    archive = make(tmp_path / "a", ("top/one", bytes(range(256)) * 20), ("top/two", b"22"))
    content = archive.read_bytes()
    archive.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ValueError, match=r"is damaged|holds no folder"):
        unpack(archive, tmp_path / "top", LIMIT)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_flipped_bit_in_a_zip_is_noticed(tmp_path):
    archive = tmp_path / "a"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        bundle.writestr("top/one", b"content of one")
    archive.write_bytes(archive.read_bytes().replace(b"content of one", b"content of two"))
    with pytest.raises(ValueError, match="is damaged"):
        unpack(archive, tmp_path / "top", LIMIT)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_another_folder_and_an_existing_one_are_told(tmp_path):
    archive = tar_of(tmp_path / "a", ("other/one", b"1"))
    with pytest.raises(ValueError, match="holds no folder 'top'"):
        unpack(archive, tmp_path / "top", LIMIT)
    (tmp_path / "top").mkdir()
    with pytest.raises(FileExistsError, match="move it away"):
        unpack(archive, tmp_path / "top", LIMIT)

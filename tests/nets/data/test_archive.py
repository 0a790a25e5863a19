import io
import stat
import tarfile
import zipfile

import pytest

from nets.data.folder import unpack

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

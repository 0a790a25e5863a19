from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from convex_analysis.commands.data_files import read_data, read_design, read_vector

X = np.arange(12.0).reshape(4, 3)
Y = np.array([1.0, -1.0, 1.0, -1.0])


def test_npy_and_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.savez(tmp_path / "data.npz", X=X, y=Y, other=X + 1)
    for x, y in (("x.npy", "y.npy"), ("data.npz", "data.npz"), ("data.npz:X", "data.npz:y")):
        design, target, names, _ = read_data(str(tmp_path / x), str(tmp_path / y))
        np.testing.assert_array_equal(design, X)
        np.testing.assert_array_equal(target, Y)
        assert names == ["0", "1", "2"]
    np.testing.assert_array_equal(read_design(f"{tmp_path}/data.npz:other")[0], X + 1)


def test_sparse_matrix(tmp_path: Path) -> None:
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_array(X))
    design, names = read_design(str(tmp_path / "x.npz"))
    assert sparse.issparse(design)
    np.testing.assert_array_equal(design.toarray(), X)
    assert len(names) == 3


def test_csv_with_and_without_names(tmp_path: Path) -> None:
    (tmp_path / "named.csv").write_text(
        "a,b,c,y\n" + "\n".join(f"{r[0]},{r[1]},{r[2]},{v}" for r, v in zip(X, Y))
    )
    np.savetxt(tmp_path / "bare.csv", X, delimiter=",")
    np.savetxt(tmp_path / "y.csv", Y, delimiter=",")
    design, target, names, _ = read_data(str(tmp_path / "named.csv"), "y")
    np.testing.assert_array_equal(design, X)
    np.testing.assert_array_equal(target, Y)
    assert names == ["a", "b", "c"]
    design, target, names, _ = read_data(str(tmp_path / "bare.csv"), str(tmp_path / "y.csv"))
    np.testing.assert_array_equal(design, X)
    np.testing.assert_array_equal(target, Y)
    assert names == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "a,b\n1,2\n3,red\n", "column 'b' holds text"),
        ("x.csv", "", "is empty: write it anew"),
        ("x.csv", "a,b\n1,2\n1,2,3\n", "line 3, saw 3"),
        ("x.npy", "this is not numpy", "not a whole npy file"),
        ("x.npz", "PK this is not a zip", "not a whole npz file"),
        ("x.npz", "PK\x03\x04 this is not a zip", "not a whole npz file"),
        ("x.dat", "1 2 3", r"ends in \.csv, \.tsv, \.txt, \.npy or \.npz"),
    ],
)
def test_what_is_no_data_gets_a_sentence(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=words) as raised:
        read_design(str(tmp_path / name))
    assert name in str(raised.value)


def test_a_damaged_archive_gets_a_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=np.arange(100.0).reshape(20, 5))
    content = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:200])
    (tmp_path / "spoilt.npz").write_bytes(content[:300] + b"x" * 40 + content[340:])
    with pytest.raises(ValueError, match="not a whole npz file"):
        read_design(str(tmp_path / "cut.npz"))
    with pytest.raises(ValueError, match="'X' is damaged"):
        read_design(str(tmp_path / "spoilt.npz"))


def test_labels_of_rows_are_no_feature(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",a,b\nfirst,1,2\nsecond,3,4\n")
    (tmp_path / "numbered.csv").write_text(",a,b\n0,1,2\n1,3,4\n")
    (tmp_path / "r.csv").write_text("a,b\nfirst,1,2\nsecond,3,4\n")
    for name in ("x.csv", "numbered.csv", "r.csv"):
        design, names = read_design(str(tmp_path / name))
        np.testing.assert_array_equal(design, [[1.0, 2.0], [3.0, 4.0]])
        assert names == ["a", "b"]


def test_missing_file_key_and_column(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npy"):
        read_design(str(tmp_path / "nowhere.npy"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_vector(str(tmp_path / "nowhere.csv"), ("y",))
    np.savez(tmp_path / "data.npz", first=X, second=X)
    with pytest.raises(ValueError, match="holds first, second"):
        read_design(str(tmp_path / "data.npz"))
    with pytest.raises(ValueError, match="no array 'third'"):
        read_design(f"{tmp_path}/data.npz:third")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="neither a file nor a column"):
        read_data(str(tmp_path / "x.csv"), "c")


def test_shapes(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", Y)
    np.save(tmp_path / "wide.npy", X)
    np.save(tmp_path / "column.npy", Y[:, None])
    with pytest.raises(ValueError, match="two dimensions"):
        read_design(str(tmp_path / "flat.npy"))
    with pytest.raises(ValueError, match="one column is wanted"):
        read_vector(str(tmp_path / "wide.npy"), ("y",))
    np.testing.assert_array_equal(read_vector(str(tmp_path / "column.npy"), ("y",)), Y)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("archive", [False, True])
def test_a_pickle_inside_is_refused_and_not_executed(tmp_path: Path, archive: bool) -> None:
    trace = tmp_path / "executed"
    hostile = np.array([Payload(trace)], dtype=object)
    if archive:
        np.savez(tmp_path / "x.npz", X=hostile)
        file = tmp_path / "x.npz"
    else:
        file = tmp_path / "x.npy"
        with open(file, "wb") as stream:
            np.save(stream, hostile, allow_pickle=True)
    with pytest.raises(ValueError, match="plain numbers"):
        read_design(str(file))
    assert not trace.exists()
    np.load(file, allow_pickle=True)["X" if archive else 0]
    assert trace.exists()  # the payload was live


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_every_common_separator(tmp_path: Path, separator: str) -> None:
    for name in ("x.csv", "x.txt"):
        rows = [["a", "b", "c"], ["1", "2.5", "3"], ["4", "5", "6.5"]]
        (tmp_path / name).write_text("\n".join(separator.join(row) for row in rows) + "\n")
        design, names = read_design(str(tmp_path / name))
        np.testing.assert_array_equal(design, [[1.0, 2.5, 3.0], [4.0, 5.0, 6.5]])
        assert names == ["a", "b", "c"]


@pytest.mark.parametrize("names", ["", "a{0}b{0}c\n"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_decimal_comma_is_no_separator(tmp_path: Path, separator: str, names: str) -> None:
    lines = separator.join(("1,5", "2,5", "-3,0")) + "\n" + separator.join(("4", "5,25", "6e-1")) + "\n"
    (tmp_path / "x.csv").write_text(names.format(separator) + lines)
    design, _ = read_design(str(tmp_path / "x.csv"))
    np.testing.assert_array_equal(design, [[1.5, 2.5, -3.0], [4.0, 5.25, 0.6]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("größe,b\n1,2\n".encode("latin-1"), "is no text in UTF-8: save it again"),
        ("a,b\n", "has a line of names and no data under it"),
        ("a,b\n1,2\n3,\n", r"row 2 of the data has no finite number in column 'b': fill"),
        ("a,b\n1,nan\n3,inf\n", r"row 1 of the data .* column 'b' \(2 such entries in all\)"),
        (
            "name,b\np1,2\np2,3\n",
            r"'name' holds text \(identifiers, .* such as 'p1'\): leave it out by --drop name",
        ),
        ("kind,b\nx,2\nx,3\n", r"'kind' holds text \(text, such as 'x'\)"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_place(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    (tmp_path / "x.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=words):
        read_design(str(tmp_path / "x.csv"))


def test_columns_left_out(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,a,b,y\np1,1,2,0\np2,3,4,1\n")
    design, target, names, _ = read_data(str(tmp_path / "x.csv"), "y", ["id"])
    np.testing.assert_array_equal(design, [[1.0, 2.0], [3.0, 4.0]])
    assert names == ["a", "b"]
    np.testing.assert_array_equal(target, [0, 1])
    with pytest.raises(ValueError, match=r"--drop c: .* has no such column; its columns are id, a, b, y"):
        read_data(str(tmp_path / "x.csv"), "y", ["c"])
    (tmp_path / "gap.csv").write_text("a,y\n1,\n3,1\n")
    with pytest.raises(ValueError, match="row 1 of the data has no finite number in column 'y'"):
        read_data(str(tmp_path / "gap.csv"), "y")

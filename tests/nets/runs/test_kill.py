"""kill -9 at any moment, start again: on CPU ticket and network are the same to the bit."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed_runs.py")

#: What must be the same, byte for byte, in every run's folder.
FILES = ("config.json", "ticket.safetensors", "network.safetensors", "metrics.jsonl", "masks.jsonl")


@pytest.fixture
def folder():
    """A folder in memory where there is one: a run that stores every step waits for the disk often."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def killer():
    """Send a job to the program that runs and kills; return what it answers."""
    program = subprocess.Popen(
        [sys.executable, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(*request):
        program.stdin.write(
            json.dumps([str(part) if isinstance(part, Path) else part for part in request]) + "\n"
        )
        program.stdin.flush()
        answer = program.stdout.readline()
        assert answer, "the program that runs and kills has ended"
        return json.loads(answer)

    yield ask
    program.stdin.close()
    program.stdout.close()
    assert program.wait(60) == 0


@pytest.fixture(scope="module")
def whole(killer, tmp_path_factory):
    """The contents of every run's folder after an uninterrupted run, by job."""
    found = {}
    for job in ("imp", "concave", "controls"):
        root = tmp_path_factory.mktemp(f"whole-{job}")
        killer("whole", root, job)
        found[job] = contents(root)
    assert len(found["imp"]) == 3  # two densities and the dense network
    assert len(found["concave"]) == 2
    assert len(found["controls"]) == 3  # the ticket, its control and the dense network
    assert any("masks.jsonl" in files for files in found["concave"].values())
    return found


def contents(root):
    folders = [folder for folder in root.iterdir() if len(folder.name) == 32]
    return {
        folder.name: {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
        for folder in folders
    }


@pytest.mark.parametrize(
    ("job", "point"),
    [
        ("imp", ("step", "search-0", 3)),  # before the step that tickets are rewound to
        ("imp", ("step", "search-1", 26)),
        ("imp", ("step", "retrain", 20)),
        ("imp", ("step", "dense", 11)),
        ("imp", ("write", "search-1.safetensors", 0.5, 7)),  # while writing a checkpoint
        ("imp", ("rename", "search-2.safetensors", True)),  # written, not yet in its place
        ("imp", ("append", "metrics.jsonl", 4)),  # half a line of metrics
        (
            "imp",
            ("rename", "ticket.safetensors", False),
        ),  # the first of two tickets is stored, the second not
        ("imp", ("rename", "details.json", False)),
        ("imp", ("write", "result.json", 0.5, 2)),
        ("imp", ("rename", "config.json", True)),
        ("concave", ("step", "search-0", 19)),  # in the middle of the mask's descent, at an epoch's end
        ("concave", ("step", "search-0", 30)),
        ("concave", ("write", "search-0.safetensors", 0.9, 30)),
        ("concave", ("append", "masks.jsonl", 2)),
        ("concave", ("rename", "network.safetensors", True)),
        ("controls", ("rename", "ticket.safetensors", False)),  # of the control neither file is stored
        ("controls", ("rename", "details.json", False, 2)),  # its details are, its ticket is not
    ],
    ids=str,
)
def test_a_killed_run_resumes_to_the_bit(killer, whole, folder, job, point):
    kind, *arguments = point
    assert killer(kind, folder, job, *arguments), "it was to die there and did not"
    assert contents(folder) == whole[job]
    assert not list(folder.glob("*/.*.tmp")), "a temporary file was left behind"
    assert not list(folder.glob("searches/*"))
    assert not list(folder.glob("*/checkpoints"))


@pytest.mark.parametrize("job", ["imp", "concave"])
def test_killed_again_and_again_at_random_moments(killer, whole, folder, job):
    assert killer("many", folder, job, 7) >= 2
    assert contents(folder) == whole[job]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


#: What may happen to a file while nobody works on the run.
DAMAGE = {
    "flipped": flip,
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize(
    ("job", "moment", "file", "damage"),
    [
        ("imp", ("search-2", 8), "searches/*/checkpoints/search-0.safetensors", "flipped"),
        ("imp", ("search-2", 8), "searches/*/metrics.jsonl", "halved"),
        ("concave", ("retrain", 3), "*/masks.jsonl", "flipped"),
        *(
            pytest.param(job, moment, file, damage, marks=pytest.mark.slow)
            for job, moment, files in [
                ("imp", ("search-2", 8), ["search-0", "search-1", "search-2"]),
                ("concave", ("search-0", 30), ["search-0"]),
            ]
            for file in [
                *(f"searches/*/checkpoints/{name}.safetensors" for name in files),
                "searches/*/m*s.jsonl",
            ]
            for damage in DAMAGE
        ),
        *(
            pytest.param("controls", ("retrain", 30), file, damage, marks=pytest.mark.slow)
            for file in ["*/metrics.jsonl", "*/details.json", "*/ticket.safetensors", "*/config.json"]
            for damage in DAMAGE
        ),
    ],
)
def test_damage_between_two_sessions_changes_nothing(killer, whole, folder, job, moment, file, damage):
    assert killer("halt", folder, job, *moment), "it was to die there and did not"
    found = [path for path in folder.glob(file) if not path.with_name("result.json").exists()]
    assert found
    for path in found:
        DAMAGE[damage](path)
    killer("whole", folder, job)
    assert {name: files for name, files in contents(folder).items() if files} == whole[job]


@pytest.mark.parametrize(
    ("kind", "error", "refused"),
    [
        ("open", "EIO", 6),
        ("write", "ENOSPC", 9),
        ("fsync", "EIO", 4),  # of a folder
        ("replace", "EROFS", 5),
        *(
            pytest.param(kind, error, refused, marks=pytest.mark.slow)
            for kind in ("open", "write", "fsync", "replace", "mkdir", "read", "unlink")
            for error, refused in zip(
                ("EIO", "ENOSPC", "EROFS", "EDQUOT") * 3, (1, 2, 3, 5, 7, 11, 17, 29, 60, 99)
            )
        ),
    ],
)
def test_an_error_of_the_disk_is_said_and_loses_nothing(killer, whole, folder, kind, error, refused):
    answer = killer("fault", folder, "controls", kind, error, refused)
    if answer == "never":
        pytest.skip(f"a run makes fewer calls of {kind}")
    # What is only tidied up may stay behind, and a folder that is there need not be made.
    assert answer == "said" or (kind in ("unlink", "mkdir") and answer == "survived")
    killer("whole", folder, "controls")
    assert contents(folder) == whole["controls"]
    assert not list(folder.glob("*/.*.tmp"))

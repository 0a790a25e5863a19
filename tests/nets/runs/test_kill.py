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
    for job in ("imp", "concave"):
        root = tmp_path_factory.mktemp(f"whole-{job}")
        killer("whole", root, job)
        found[job] = contents(root)
    assert len(found["imp"]) == 3  # two densities and the dense network
    assert len(found["concave"]) == 2
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

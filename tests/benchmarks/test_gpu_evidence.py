"""The list of runs for a lent card, its code run on the CPU over tiny settings."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import seed_rows

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu_evidence(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu_evidence

    return gpu_evidence


def smoke(path, *more):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, FOLDER / "gpu_evidence.py", *more, "--out", path]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_the_smoke_run_stores_every_row_once(gpu_evidence, tmp_path):
    path = tmp_path / "rows.jsonl"
    first = smoke(path, "--smoke")
    assert first.returncode == 0, first.stderr[-3000:]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["method"], row["asked_density"]) for row in rows) == [
        ("concave", 0.107),
        ("concave", 0.107),
        ("dense", 1.0),
        ("imp", 0.5),
        ("imp", 0.7),
    ]
    assert all(0 <= row["test_accuracy"] <= 1 and row["seconds"] > 0 for row in rows)
    searched = {row["asked_density"]: row["search_epochs_spent"] for row in rows}
    # two and four rounds of one epoch; all but the first begin at the first of its three steps
    assert (searched[0.7], searched[0.5]) == pytest.approx((1 + 2 / 3, 3))
    one, two = sorted(row["search_epochs_spent"] for row in rows if row["method"] == "concave")
    assert two - one == pytest.approx(2 / 3)
    # A second call makes only what is missing, here the row that was being written when the first one died.
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]) + '{"method": "im')
    second = smoke(path, "--smoke")
    assert second.returncode == 0, second.stderr[-3000:]
    again = seed_rows.stored(path)
    assert sorted(row["key"] for row in again) == sorted(row["key"] for row in rows)
    assert second.stdout.count("test ") == 1


def test_a_run_that_would_pass_the_limit_is_not_begun(gpu_evidence, tmp_path, monkeypatch, capsys):
    begun = []

    class Pool:
        """Ends every task at once."""

        def __init__(self, function, tell, size):
            self.tell, self.tasks = tell, []

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def submit(self, task):
            self.tasks.append(task)

        def next(self, timeout):
            order = self.tasks.pop(0)
            if order[0] == "clock":
                self.tell((order, ("clock", order[1].model, 0.5)))
            else:
                begun.append(order[1])
            return gpu_evidence.Ended(order)

    monkeypatch.setattr(gpu_evidence, "Processes", Pool)
    limit = time.time() + 100  # 200 epochs: a dense training, but no search with its retraining
    setting = gpu_evidence.Setting("cpu", limit, str(tmp_path))
    gpu_evidence.run(gpu_evidence.TASKS, setting, 3, tmp_path / "rows.jsonl")
    assert {task.method for task in begun} == {"dense", "synflow", "snip", "random"}
    assert begun[0].method == "dense"
    assert len(begun) == len(set(begun))


def test_the_order_is_that_of_the_claim(gpu_evidence):
    tasks = gpu_evidence.TASKS
    methods = list(dict.fromkeys(t.method for t in tasks))
    assert methods == ["dense", "concave", "l1", "gmp", "imp", "synflow", "snip", "random"]
    grounds = list(dict.fromkeys((t.data, t.model, t.seed) for t in tasks))
    assert grounds[:3] == [("cifar10", "resnet-20", seed) for seed in range(3)]
    assert {("cifar10", "vgg-16", 0), ("cifar100", "resnet-20", 0)} < set(grounds)
    keys = [task.key(density) for task in tasks for density in task.densities]
    assert len(keys) == len(set(keys))


def test_a_chain_costs_what_is_left_of_it(gpu_evidence, tmp_path):
    setting = gpu_evidence.Setting("cpu", 0.0, str(tmp_path))
    chain = gpu_evidence.Task("imp", (0.107, 0.0074), search_epochs=40)
    assert gpu_evidence.cost(chain, 0.107, setting) == 11 * 40 + 160
    assert gpu_evidence.cost(chain, 0.0074, setting) == 22 * 40 + 160
    (tmp_path / chain.chain).mkdir()
    for number in range(11):
        (tmp_path / chain.chain / f"search-{number}.safetensors").touch()
    assert gpu_evidence.cost(chain, 0.0074, setting) == 12 * 40 + 160
    assert gpu_evidence.cost(gpu_evidence.Task("concave", (0.1,)), 0.1, setting) == 160 + 9 + 160


def test_the_table_lays_rows_beside_published_ones(gpu_evidence, tmp_path):
    path = tmp_path / "rows.jsonl"
    for seed, accuracy in ((0, 0.90), (1, 0.92)):
        task = gpu_evidence.Task("concave", (0.107,), seed)
        row = {
            "key": task.key(0.107),
            "data": "cifar10",
            "model": "resnet-20",
            "method": "concave",
            "seed": seed,
            "test_accuracy": accuracy,
            "search_epochs_spent": 160.0,
        }
        seed_rows.append(path, row)
    text = gpu_evidence.table(path)
    assert "| concave | 91.00 |  |  |  | 160 | 2 |" in text
    assert "| imp, published | 91.36 | 89.12 | 83.50 | 68.38 | | about 3 |" in text


def test_without_a_gpu_one_sentence_says_so(gpu_evidence, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_evidence.py", "--out", str(tmp_path / "rows.jsonl")])
    with pytest.raises(SystemExit, match="needs a CUDA device; --smoke runs its code on any machine"):
        gpu_evidence.main()

"""One training in two processes (gloo): the same as in one, and the same in both."""

import json
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from nets import Ticket
from nets.training import distributed

LAUNCHER = Path(__file__).parents[1] / "two_processes.py"
PROGRAM = Path(__file__).with_name("distributed_program.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What one process alone, and the first and second of two, found."""
    out = tmp_path_factory.mktemp("distributed")
    both = [sys.executable, LAUNCHER, PROGRAM, out]
    ended = subprocess.run(both, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "argv", [str(PROGRAM), str(out)])
        runpy.run_path(str(PROGRAM), run_name="__main__")
    one, first, second = (json.loads((out / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    assert (one["size"], first["size"], second["size"]) == (1, 2, 2)
    return out, one, first, second


def test_two_processes_train_as_one(told):
    """Batches of 25, so that the shares differ in size, and two batch normalisations."""
    _, one, first, second = told
    assert first["trained"] == second["trained"]
    assert first["trained"]["state"].keys() == one["trained"]["state"].keys()
    for name, values in first["trained"]["state"].items():
        expected = torch.tensor(one["trained"]["state"][name])
        torch.testing.assert_close(torch.tensor(values), expected, rtol=2e-4, atol=2e-5, msg=name)
    for mine, theirs in zip(first["trained"]["metrics"], one["trained"]["metrics"]):
        assert mine.keys() == theirs.keys()
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
        assert mine["validation_accuracy"] == theirs["validation_accuracy"]
        assert mine["validation_loss"] == pytest.approx(theirs["validation_loss"], rel=1e-4)


def test_batches_in_parts_agree_in_all_processes(told):
    _, one, first, second = told
    assert first["accumulated"] == second["accumulated"]
    losses = [found["accumulated"]["metrics"][-1]["train_loss"] for found in (one, first)]
    assert losses[1] == pytest.approx(losses[0], rel=0.3)  # batch normalisation sees other parts


def test_every_method_finds_the_same_ticket_in_all_processes(told):
    _, one, first, second = told
    assert first["searched"] == second["searched"]
    assert first["searched"].keys() == one["searched"].keys()


def test_the_steered_mask_of_two_processes_is_that_of_one(told):
    _, one, first, _ = told
    mine, alone = (torch.tensor(sum_of(found["searched"]["concave"]["masks"])) for found in (first, one))
    assert mine.sum() == alone.sum()
    assert (mine != alone).float().mean() < 0.02  # rounding may swap a near-tie
    mine, alone = (torch.tensor(found["searched"]["concave"]["lam"]) for found in (first, one))
    torch.testing.assert_close(mine[:5], alone[:5], rtol=1e-3, atol=1e-9)


def sum_of(masks):
    return [entry for mask in masks.values() for entry in torch.tensor(mask).flatten().tolist()]


def test_a_masked_network_works_in_distributed_data_parallel(told):
    _, one, first, second = told
    assert first["wrapped"] == second["wrapped"]
    mine, alone = (torch.tensor(found["wrapped"]["weight"]) for found in (first, one))
    torch.testing.assert_close(mine, alone, rtol=1e-4, atol=1e-6)


def test_a_run_is_kept_once_and_agrees(told):
    out, one, first, second = told
    assert first["run"] == second["run"]
    assert first["run"]["kept"] == one["run"]["kept"]
    assert first["run"]["accuracy"] == pytest.approx(one["run"]["accuracy"], abs=0.03)
    folders = [folder for folder in (out / "runs-of-2").iterdir() if len(folder.name) == 32]
    assert len(folders) == 2
    for folder in folders:
        assert json.loads((folder / "environment.json").read_text())["sessions"][0]["processes"] == 2
        epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert len({(line["training"], line["epoch"]) for line in epochs}) == len(epochs)
    alone = {folder.name for folder in (out / "runs-of-1").iterdir() if len(folder.name) == 32}
    assert alone == {folder.name for folder in folders}
    assert all(Ticket.load(folder / "ticket.safetensors").kept for folder in folders)


def test_an_error_of_the_first_process_is_raised_in_all(told):
    _, one, first, second = told
    assert one["error"] == first["error"] == second["error"] == "integer division or modulo by zero"


def test_alone_nothing_is_done():
    x = torch.arange(4.0)
    assert distributed.size() == 1
    assert distributed.share(x) is x
    distributed.add_up(x)
    distributed.agree(x)
    assert x.tolist() == [0, 1, 2, 3]
    with distributed.processes("cpu") as device:
        assert device == "cpu"
    assert distributed.on_first(lambda: 3) == 3

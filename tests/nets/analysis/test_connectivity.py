"""Overlap and barrier between the tickets of two seeds."""

import contextlib
import json

import pytest

import nets
from nets import Play
from nets.command_line import main


@pytest.fixture(scope="module")
def found():
    return nets.connectivity(Play(method="magnitude", density=0.2, epochs=3), seeds=(0, 1))


def test_both_kinds_are_compared_for_every_pair(found):
    assert [(one.kind, one.seeds) for one in found] == [("batches", (0, 1)), ("seeds", (0, 1))]


def test_one_ticket_overlaps_itself_and_two_seeds_little_more_than_chance(found):
    batches, seeds = found
    assert batches.overlap == 1.0
    assert seeds.chance - 0.05 < seeds.overlap < 0.5


def test_the_barrier_belongs_to_the_errors(found):
    for one in found:
        first, last = one.errors[0], one.errors[-1]
        line = [first + (last - first) * i / 10 for i in range(11)]
        assert one.barrier == pytest.approx(max(e - s for e, s in zip(one.errors, line)))
    assert found[1].barrier > found[0].barrier


@pytest.mark.parametrize("granularity", ["2:4", "channel"])
def test_whole_units_are_compared_with_whole_units_by_chance(granularity):
    play = Play(method="random", density=0.5, epochs=1, granularity=granularity, control="invert")
    for one in nets.connectivity(play):
        assert 0.2 < one.chance < 0.5  # 2:4: 1/3; 200 of 400 units: about a quarter of the weights
    with pytest.raises(ValueError, match="control must be one with a mask"):
        nets.connectivity(Play(control="small-dense", epochs=1))


def test_seeds_must_differ():
    with pytest.raises(ValueError, match="at least two different"):
        nets.connectivity(Play(epochs=1), seeds=(1, 1))


def test_the_command_prints_a_table_and_writes_numbers(tmp_path, capsys):
    path = tmp_path / "lines.json"
    with contextlib.suppress(SystemExit):  # cyclopts may end with status 0
        main(["connect", "--method", "random", "--epochs", "1", "--save", str(path)])
    assert "random at 5%" in capsys.readouterr().out
    kinds = [one["kind"] for one in json.loads(path.read_text())["connections"]]
    assert kinds == ["batches", "seeds"]
    assert '"barrier"' in path.read_text()

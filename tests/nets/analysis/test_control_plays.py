"""Controls by one flag: the same search, another retraining, a label, and addresses that stay."""

import dataclasses
import math

import pytest

import nets
from nets import Play
from nets.analysis.controls import CONTROLS as FUNCTIONS
from nets.configuration import CONTROLS
from nets.lottery import play_densities
from nets.result import row_label
from nets.runs.canonical import address, dense_of
from nets.runs.jobs import jobs, search_address

COMMON = {"method": "snip", "density": 0.05, "epochs": 2}


def test_the_names_are_those_of_the_functions():
    assert set(CONTROLS) == {*FUNCTIONS, "small-dense"}


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match=r"control must be one of shuffle, .* got 'shufle'"):
        Play(control="shufle")


def test_a_control_is_a_run_of_its_own_from_the_same_search():
    plain, shuffled = Play(**COMMON), Play(**COMMON, control="shuffle")
    assert address(plain) != address(shuffled)
    assert search_address(plain) == search_address(shuffled)
    assert dense_of(plain) == dense_of(shuffled)
    assert address(Play(method="dense", control="shuffle")) == address(Play(method="dense"))


@pytest.fixture(scope="module")
def played():
    made = play_densities(Play(**COMMON), (0.05,), ("", *CONTROLS))
    return {result.play.control: result for result, _ in made}


def test_all_controls_keep_the_count_and_the_layers(played):
    plain = played[""]
    for name in FUNCTIONS:
        assert played[name].kept == plain.kept
        assert played[name].layer_densities == plain.layer_densities
        assert played[name].search_epochs == plain.search_epochs
    assert 0.8 * plain.kept < played["small-dense"].kept <= plain.kept
    assert played["small-dense"].density == played["small-dense"].kept / plain.total


def test_controls_change_the_result_and_not_the_dense_network(played):
    assert len({result.dense_test_accuracy for result in played.values()}) == 1
    losses = {name: result.metrics[0]["train_loss"] for name, result in played.items()}
    assert len(set(losses.values())) == len(losses)


def test_a_control_played_alone_is_the_one_played_with_others(played):
    alone = nets.play(Play(**COMMON, control="shuffle"))
    same = dataclasses.asdict(played["shuffle"])
    for name, value in dataclasses.asdict(alone).items():
        if not name.endswith("seconds"):
            assert value == same[name], name


def test_jobs_share_the_search_between_controls_and_densities():
    chain = [Play(method="imp", density=d, control=c) for d in (0.1, 0.2) for c in ("", "shuffle")]
    (job,) = jobs(chain)
    assert job.densities == (0.2, 0.1)
    assert job.controls == ("", "shuffle")
    assert set(job.plays) == set(chain)
    single = [dataclasses.replace(play, method="concave") for play in chain]
    assert sorted(job.densities for job in jobs(single)) == [(0.1,), (0.2,)]
    uneven = [chain[0], chain[1], chain[2]]
    assert {play for job in jobs(uneven) for play in job.plays} == set(uneven)


def test_a_comparison_labels_its_controls():
    comparison = nets.compare(
        methods=("random",), densities=(0.1,), seeds=1, controls=("all",), workers=1, epochs=1
    )
    labels = [row_label(row) for row in comparison.table()]
    assert labels == ["random", *(f"random ({name})" for name in sorted(CONTROLS))]
    assert all(math.isfinite(result.dense_test_accuracy) for result in comparison.results)


def test_a_stored_control_takes_the_ticket_of_the_stored_play(tmp_path, monkeypatch):
    plain = Play(method="magnitude", density=0.1, epochs=1)
    nets.run(plain, tmp_path)
    monkeypatch.setattr("nets.lottery.search_tickets", lambda *_, **__: pytest.fail("searched again"))
    row = nets.run(dataclasses.replace(plain, control="invert"), tmp_path)
    assert row.play.control == "invert"
    assert row.kept == round(0.1 * row.total)

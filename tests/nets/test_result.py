import math

import pytest

from nets.result import check_row, is_number

ROW = {
    **dict.fromkeys(("data", "model", "method", "penalty", "run"), "some"),
    **dict.fromkeys(("seed", "kept", "total", "asked_density", "density", "search_epochs_spent"), 1),
    "test_accuracy": 0.5,
}


def test_a_row_with_more_columns_is_a_row():
    check_row(ROW)
    check_row({**ROW, "search_flops": None, "own": True, "options": {"a": 1}, "layer_densities": {"a": 0.5}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_accuracy": math.nan}, "no number 'test_accuracy'"),
        ({"test_accuracy": "0.5"}, "no number 'test_accuracy'"),
        ({"test_accuracy": True}, "no number 'test_accuracy'"),
        ({"seed": [1]}, "no number 'seed'"),
        ({"method": 5}, "no text 'method'"),
    ],
)
def test_what_no_run_writes_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        check_row({**ROW, **change})


@pytest.mark.parametrize("name", sorted(ROW))
def test_every_column_is_needed(name):
    with pytest.raises(ValueError, match=repr(name)):
        check_row({key: value for key, value in ROW.items() if key != name})


def test_numbers():
    assert all(map(is_number, (0, -1, 0.5, 2**62)))
    assert not any(map(is_number, (True, None, "1", math.inf, math.nan)))

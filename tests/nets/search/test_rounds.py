"""Rounds of pruning: what is rewound between them, and how the ticket is then trained."""

import pytest
import torch

from nets.configuration import Training
from nets.lottery import find_ticket, retrain
from nets.search.rounds import fine_tuning, rounds_needed

TRAINING = Training(epochs=2, batch_size=64, lr=0.1)


@pytest.fixture(scope="module")
def tickets():
    return {
        rewinding: find_ticket(
            "lenet-300-100",
            "digits",
            "imp",
            density=0.3,
            training=TRAINING,
            rewind=2,
            options={"rewinding": rewinding, "keep": 0.6},
        )
        for rewinding in ("weights", "learning-rate", "fine-tuning")
    }


def test_only_rewound_weights_are_early_ones(tickets):
    early, rate, tuned = (tickets[name].weights["1.weight"] for name in tickets)
    moved = (rate - early).norm() / early.norm()
    assert moved > 0.05
    assert not torch.equal(rate, tuned)
    assert all(ticket.kept == round(0.3 * ticket.total) for ticket in tickets.values())


def test_survivors_keep_their_trained_values(tickets):
    """The weights that a later round pruned are zero already in the state that is kept."""
    ticket = tickets["learning-rate"]
    zeros = sum(int((ticket.weights[name] == 0).sum()) for name in ticket.masks)
    assert zeros >= 0.4 * ticket.total - 1


def test_the_schedule_starts_where_it_is_rewound_to_and_fine_tuning_has_none(tickets):
    epochs = {
        name: retrain(t, "lenet-300-100", "digits", training=TRAINING).epochs for name, t in tickets.items()
    }
    assert epochs["weights"] == epochs["learning-rate"] < epochs["fine-tuning"] == 2.0
    assert tickets["fine-tuning"].metadata["fine_tune"] == 0.1
    tuned = fine_tuning(TRAINING, 0.1)
    assert tuned.schedule == "constant"
    assert tuned.lr == pytest.approx(0.01)


def test_fine_tuning_starts_from_a_trained_network(tickets):
    tuned = retrain(tickets["fine-tuning"], "lenet-300-100", "digits", training=TRAINING)
    rewound = retrain(tickets["weights"], "lenet-300-100", "digits", training=TRAINING)
    assert tuned.metrics[0]["train_loss"] < 0.8 * rewound.metrics[0]["train_loss"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rewinding": "nothing"}, "rewinding must be one of weights, learning-rate, fine-tuning"),
        ({"fine_tune": 0.0}, "fine_tune must be in"),
        ({"keep": 1.0}, "keep must be in"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        find_ticket("lenet-300-100", "digits", "imp", density=0.5, training=TRAINING, options=options)


def test_rounds_are_counted():
    assert [rounds_needed(d, 0.8) for d in (0.9, 0.8, 0.79, 0.64)] == [1, 1, 2, 2]

"""Data that come batch by batch: orders fixed by the seed, exact resumption, batches of any form."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

import nets
from nets import Task, Training
from nets.data import Dataset as Held
from nets.data import Stream, load
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop

TRAINING = Training(epochs=3, batch_size=16, lr=0.05)


def points(n=90):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    return torch.randn(n, 6, generator=generator) + 2 * nn.functional.one_hot(y, 6), y


X, Y = points()


def network(inputs=6, outputs=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs))


class Noisy(Dataset):
    """Another sample at every look: torch's global random numbers are added."""

    def __len__(self):
        return len(Y)

    def __getitem__(self, k):
        return X[k] + 0.1 * torch.randn(6), int(Y[k])


class Endless(IterableDataset):
    """The samples in order, again and again; 7 of them make a pass."""

    def __iter__(self):
        return iter([(X[k], Y[k]) for k in range(56)])


def loaders():
    weights = WeightedRandomSampler(torch.ones(90), 90)
    batches = [(X[i : i + 9], Y[i : i + 9]) for i in range(0, 90, 9)]
    return {
        "a data set": Stream(Noisy()),
        "a loader that shuffles": Stream(DataLoader(Noisy(), batch_size=16, shuffle=True)),
        "a loader in order": Stream(DataLoader(Noisy(), batch_size=16, drop_last=True)),
        "a sampler of its own": Stream(DataLoader(Noisy(), batch_size=16, sampler=weights)),
        "no length": Stream(DataLoader(Endless(), batch_size=8), batches, batches, steps=5),
        "a list of batches": Stream(batches, batches, batches),
        "a list of batches, short epochs": Stream(batches, batches, batches, steps=4),
    }


def loop(data, hooks=()):
    return Loop(FlatModel(network()), data, TRAINING, seed=5, hooks=hooks)


@pytest.mark.parametrize("name", loaders())
def test_an_interrupted_training_ends_at_the_same_bits(name):
    whole = loop(loaders()[name]).run()
    for step in (1, 4, 7):
        first = loop(loaders()[name]).run(until=step)
        state = first.state_dict()
        second = loop(loaders()[name])
        second.load_state_dict(state)
        second.run()
        assert torch.equal(second.flat.parameter, whole.flat.parameter)
        assert second.metrics == whole.metrics


def test_a_data_set_is_read_in_the_order_of_data_in_memory():
    held = Held("held", X[:60], Y[:60], X[60:75], Y[60:75], X[75:], Y[75:], n_classes=3)
    sets = [TensorDataset(X[a:b], Y[a:b]) for a, b in ((0, 60), (75, 90), (60, 75))]
    streamed = loop(Stream(*sets)).run()
    kept = loop(held).run()
    assert torch.equal(streamed.flat.parameter, kept.flat.parameter)
    assert streamed.metrics[-1]["validation_accuracy"] == kept.metrics[-1]["validation_accuracy"]


def test_parts_are_held_out_once_and_for_all():
    stream = Stream(Noisy(), seed=3)
    parts = {
        part: sum(len(y) for _, y in stream.part_batches(part)) for part in ("train", "validation", "test")
    }
    assert parts == {"train": 65, "validation": 7, "test": 18}
    assert stream.n_train == 65
    one, two = (torch.cat([x for x, _ in stream.part_batches("test")]) for _ in range(2))
    assert torch.equal(one, two)
    assert (
        stream.fingerprint() == Stream(Noisy(), seed=3).fingerprint() != Stream(Noisy(), seed=4).fingerprint()
    )


@pytest.mark.parametrize("method", ["concave", "snip", "grasp", "imp", "random", "gmp"])
def test_tickets_are_found_in_streams(method):
    data = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
    found = [
        nets.find_ticket(network(), data, method, density=0.3, training=TRAINING, seed=1) for _ in range(2)
    ]
    assert found[0].kept == round(0.3 * found[0].total)
    assert all(torch.equal(found[0].masks[n], found[1].masks[n]) for n in found[0].masks)
    trained = nets.retrain(found[0], network(), data, training=TRAINING)
    assert trained.test_score > (0.2 if method == "random" else 0.4)
    for name, mask in found[0].masks.items():
        assert not trained.model.state_dict()[name][~mask].any()


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(2, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, left, right):
        return self.out(torch.relu(self.left(left) + self.right(right)))


class Named(Dataset):
    def __len__(self):
        return len(Y)

    def __getitem__(self, k):
        return {"left": X[k, :4], "right": X[k, 4:], "labels": Y[k]}


def test_batches_may_be_tuples_and_dicts():
    tuples = TensorDataset(X[:, :4], X[:, 4:], Y)
    scores = []
    for data in (Stream(tuples), Stream(Named())):
        ticket = nets.find_ticket(Two(), data, "snip", density=0.4, training=TRAINING, seed=2)
        trained = nets.retrain(ticket, Two(), data, training=TRAINING, seed=2)
        assert trained.flops is not None
        assert trained.flops.dense == 2 * (4 * 8 + 2 * 8 + 8 * 3)
        scores.append(trained.test_score)
    assert load(Named()).name == "Named"
    with pytest.raises(ValueError, match="entries left, right, labels: which is the target"):
        load(Named(), task=Task(nn.CrossEntropyLoss(), "accuracy", target="answer")).example(1)


class Sentences(Dataset):
    """Sequences of several lengths that count upwards modulo 9."""

    def __len__(self):
        return 80

    def __getitem__(self, k):
        return (torch.arange(4 + k % 5) + k) % 9


def padded(samples):
    tokens = pad_sequence(samples, batch_first=True)
    lengths = torch.tensor([len(s) for s in samples])
    mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
    return {"input_ids": tokens, "attention_mask": mask}


class Bigram(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.hidden, self.out = nn.Embedding(9, 16), nn.Linear(16, 32), nn.Linear(32, 9)

    def forward(self, input_ids, attention_mask):
        return {"logits": self.out(torch.relu(self.hidden(self.embed(input_ids))))}


def test_a_language_model_on_sequences_of_several_lengths():
    with pytest.raises(TypeError, match="give a DataLoader with a collate_fn"):
        load(Sentences(), task="language-model")
    data = DataLoader(Sentences(), batch_size=16, shuffle=True, collate_fn=padded)
    training = Training(epochs=12, batch_size=16, lr=0.02, optimiser="adam")
    scores = {}
    for method in ("concave", "random"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Bigram()
        ticket = nets.find_ticket(model, data, method, task="language-model", density=0.25, training=training)
        trained = nets.retrain(ticket, model, data, task="language-model", training=training)
        scores[method] = trained.test_score
    assert trained.metric.name == "perplexity"
    assert scores["concave"] < 1.5
    assert scores["concave"] < scores["random"]


def test_a_missing_validation_part_is_no_number():
    batches = [(X[i : i + 9], Y[i : i + 9]) for i in range(0, 90, 9)]
    data = Stream(batches, batches)
    trained = nets.retrain(None, network(), data, training=TRAINING)
    assert trained.validation_score != trained.validation_score
    assert "validation_accuracy" not in trained.metrics[-1]
    with pytest.raises(ValueError, match="validation part of list is empty"):
        nets.evaluate(network(), data)


def test_floats_are_a_regression():
    data = DataLoader(TensorDataset(X, X.sum(1)), batch_size=16)
    assert load(data).task.name == "regression"
    with pytest.raises(ValueError, match="targets are floats"):
        next(load(data, task="classification").part_batches("train"))


def test_what_cannot_be_streamed_is_said():
    with pytest.raises(ValueError, match="has no length: say how many steps are an epoch"):
        load(DataLoader(Endless(), batch_size=8))
    with pytest.raises(TypeError, match="something that yields batches whenever it is iterated"):
        Stream(iter([(X, Y)]), steps=3)
    with pytest.raises(ValueError, match="does not say how many classes"):
        nets.find_ticket("lenet-300-100", DataLoader(Noisy(), batch_size=8), "snip", training=TRAINING)
    with pytest.raises(ValueError, match="do not go with the task classification"):
        nets.retrain(None, nn.Linear(6, 1), Stream([(X, Y)]))


def test_data_sets_that_are_large_or_random_are_streamed_others_held(monkeypatch):
    assert isinstance(load(Noisy()), Stream)
    pair = TensorDataset(X[:70], Y[:70]), TensorDataset(X[70:], Y[70:])
    data = load(pair)
    assert isinstance(data, Held)
    assert torch.equal(data.x_test, X[70:])
    data = load((*pair, TensorDataset(X[:10], Y[:10])))
    assert torch.equal(data.x_validation, X[70:])
    assert torch.equal(data.x_test, X[:10])


class Plus:
    """An augmentation of a user's own: a plain function or an object."""

    def __init__(self, amount):
        self.amount = amount

    def __call__(self, x, generator, fill):
        return x + self.amount


def test_a_fingerprint_holds_no_memory_address():
    def made(augmentation):
        return load((X, Y), augmentation=augmentation).fingerprint()

    assert made(Plus(1)) == made(Plus(1)) != made(Plus(2))
    one, two = (lambda x, generator, fill: x for _ in range(2))
    assert one is not two
    assert made(one) == made(two) != made(None)

import builtins

import pytest

import nets
from nets import Hook, Play
from nets.data import load
from nets.runs.canonical import address
from nets.runs.execution import execute
from nets.runs.jobs import Job, Keeping
from nets.runs.trainings import trackers

PLAY = Play(epochs=2, method="concave", density=0.1)


def test_tensorboard_files_hold_metrics_and_curves(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (outcome,) = execute(Job(PLAY, (0.1,)), Keeping(tmp_path, tensorboard=True))
    assert not outcome.failure

    folder = tmp_path / "tensorboard" / f"digits-lenet-300-100-concave-0.1-seed-0-{address(PLAY)[:8]}"
    assert len(list(folder.parent.iterdir())) == 2  # this play and its dense network
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    told = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    stored = nets.query(
        "select epoch, train_loss from metrics where training = 'retrain' order by epoch", tmp_path
    )
    assert [step for step, _ in told["retrain/train_loss"]] == [1, 2]
    assert [value for _, value in told["retrain/train_loss"]] == pytest.approx(list(stored["train_loss"]))
    assert {"search-0/lam", "search-0/mean", "search-0/validation_accuracy"} <= set(told)
    steps = [step for step, _ in told["search-0/lam"]]
    assert steps == sorted(set(steps))


SEEN = []


class Own(Hook):
    def __init__(self, play):
        self.play = play

    def record(self, loop, metrics):
        SEEN.append((self.play.method, loop.name, metrics["epoch"], metrics["validation_accuracy"]))


def test_a_tracker_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_tracker.py").write_text(
        "from nets import Hook\n"
        "SEEN = []\n"
        "class Own(Hook):\n"
        "    def __init__(self, play): self.play = play\n"
        "    def record(self, loop, metrics): SEEN.append((self.play.method, loop.name, metrics['epoch']))\n"
        "def wrong(play): return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    execute(Job(PLAY, (0.1,)), Keeping(tmp_path / "runs", tracker="my_tracker:Own"))
    import my_tracker

    search = [("concave", "search-0", 1.0), ("concave", "search-0", 2.0)]
    dense = [("dense", "dense", 1.0), ("dense", "dense", 2.0)]
    assert [*search, *dense, ("concave", "retrain", 1.0), ("concave", "retrain", 2.0)] == my_tracker.SEEN
    with pytest.raises(ValueError, match=r"must return a nets\.Hook, got int"):
        trackers(PLAY, tmp_path, tracker="my_tracker:wrong")
    with pytest.raises(ValueError, match="no module 'no_such'"):
        trackers(PLAY, tmp_path, tracker="no_such:thing")


def test_without_tensorboard_one_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **kwargs):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *arguments, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'concave-sparsity\[tracking\]'"):
        trackers(PLAY, tmp_path, tensorboard=True)


def test_none_is_needed(tmp_path):
    assert trackers(PLAY, tmp_path) == []


def test_a_hook_sees_every_epoch_of_a_play_in_memory():
    hook = Own(PLAY)
    SEEN.clear()
    nets.find_ticket("lenet-300-100", load("digits"), "concave", density=0.1, epochs=2, hooks=(hook,))
    assert [(name, epoch) for _, name, epoch, _ in SEEN] == [("search-0", 1), ("search-0", 2)]

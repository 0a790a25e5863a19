import contextlib
from dataclasses import replace

import pytest
import torch
from torch import nn

import nets.training.forward_backward as module
from nets import Training
from nets.data import Dataset
from nets.tasks import CLASSIFICATION
from nets.training.flat_model import FlatModel
from nets.training.forward_backward import ForwardBackward
from nets.training.loop import Hook, Loop

TRAINING = Training(epochs=2, batch_size=24, lr=0.05)


def data():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(150) % 3
    x = torch.randn(150, 2, 6, 6, generator=generator) + y.view(-1, 1, 1, 1)
    return Dataset("blobs", x[:100], y[:100], x[100:120], y[100:120], x[120:], y[120:], n_classes=3)


def network(normalised=False):
    torch.manual_seed(0)
    layers = (
        [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)] if normalised else [nn.Conv2d(2, 4, 3, padding=1)]
    )
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def trained(normalised=False, hooks=(), **changes):
    flat = FlatModel(network(normalised))
    loop = Loop(flat, data(), replace(TRAINING, **changes), seed=0, hooks=hooks).run()
    return flat.parameter.detach().clone(), loop.metrics


@pytest.mark.parametrize("parts", [2, 3, 5, 24])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(parts):
    one, metrics = trained()
    several, same = trained(accumulate=parts)
    torch.testing.assert_close(several, one, rtol=1e-4, atol=1e-6)
    assert same[-1]["train_loss"] == pytest.approx(metrics[-1]["train_loss"], rel=1e-5)


def test_mixed_precision_keeps_the_weights_in_float32_and_differs_by_rounding():
    seen = []

    class See(Hook):
        def before_step(self, loop):
            seen.append(loop.flat.parameter.dtype)

        def after_backward(self, loop):
            seen.append(loop.flat.gradients_of_all.dtype)

    full, _ = trained()
    mixed, _ = trained(precision="bfloat16", hooks=(See(),))
    assert set(seen) == {torch.float32}
    assert not torch.equal(full, mixed)
    torch.testing.assert_close(mixed, full, rtol=0.05, atol=0.02)


def test_channels_last_changes_nothing_but_the_layout():
    seen = []

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = network()

        def forward(self, x):
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return self.inside(x)

    flat = FlatModel(Model())
    training = replace(TRAINING, channels_last=True)
    forward_backward = ForwardBackward(flat, CLASSIFICATION, training)
    x, y = data().x_train[:10], data().y_train[:10]
    forward_backward(x, y)
    assert seen == [True]
    other = FlatModel(Model())
    ForwardBackward(other, CLASSIFICATION, TRAINING)(x, y)
    torch.testing.assert_close(flat.gradients_of_all, other.gradients_of_all)


def test_compilation_is_asked_for_once_and_computes_the_same(monkeypatch):
    compiled = []

    def fake(function, **settings):
        compiled.append(settings)
        return function

    monkeypatch.setattr(module.torch, "compile", fake)
    one, _ = trained()
    assert compiled == []
    other, _ = trained(compile=True)
    assert compiled == [{"dynamic": False}]
    assert torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_for_real():
    for normalised in (False, True):
        one, _ = trained(normalised)
        other, _ = trained(normalised, compile=True)
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5)


def test_graphs_need_cuda():
    with pytest.raises(ValueError, match="graphs need a CUDA device, the network is on cpu"):
        trained(graphs=True)


class FakeCuda:
    """Stands for torch.cuda where there is none: a graph remembers the function and runs it when replayed."""

    def __init__(self):
        self.captured = 0
        self.capturing = None

    def install(self, patch):
        cuda = module.torch.cuda
        for name, value in {
            "device": lambda device: contextlib.nullcontext(),
            "synchronize": lambda device: None,
            "Stream": lambda: self,
            "stream": lambda stream: contextlib.nullcontext(),
            "current_stream": lambda: self,
            "CUDAGraph": lambda: self,
            "graph": lambda graph, stream: contextlib.nullcontext(),
            "get_rng_state": lambda device: torch.get_rng_state(),
            "set_rng_state": lambda state, device: torch.set_rng_state(state),
        }.items():
            patch.setattr(cuda, name, value)
        capture = module.Graph.__init__

        def remember(graph, eager, flat, x, y, weight):
            capture(graph, eager, flat, x, y, weight)
            self.captured += 1
            graph.graph = type(
                "G", (), {"replay": lambda _: graph.loss.copy_(eager(graph.x, graph.y, weight))}
            )()

        patch.setattr(module.Graph, "__init__", remember)

    def wait_stream(self, other):
        pass


@pytest.fixture
def cuda(monkeypatch):
    fake = FakeCuda()
    fake.install(monkeypatch)
    init = ForwardBackward.__init__

    def as_if_on_cuda(self, flat, task, training, *, teacher=None):
        init(self, flat, task, replace(training, graphs=False), teacher=teacher)
        self._graphs = {} if training.graphs else None

    monkeypatch.setattr(ForwardBackward, "__init__", as_if_on_cuda)
    return fake


def test_capturing_leaves_no_trace_and_replays_compute_the_same(cuda):
    """The bookkeeping around a graph (the capture itself needs a GPU): statistics, gradients, weights."""
    one, metrics = trained(normalised=True)
    other, same = trained(normalised=True, graphs=True)
    assert cuda.captured == 1
    assert torch.equal(one, other)
    assert metrics == same


def test_a_graph_is_captured_anew_when_the_weights_move(cuda):
    class Move(Hook):
        def after_step(self, loop):
            if loop.step == 3:
                loop.flat.separate()
            if loop.step >= 3:
                loop.flat.effective.copy_(loop.flat.weights)

    one, _ = trained(hooks=(Move(),))
    other, _ = trained(hooks=(Move(),), graphs=True)
    assert cuda.captured == 2
    assert torch.equal(one, other)


def test_parts_of_two_sizes_are_two_graphs(cuda):
    one, _ = trained(accumulate=5)
    other, _ = trained(accumulate=5, graphs=True)
    assert cuda.captured == 2
    assert torch.equal(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "changes", [{"graphs": True}, {"graphs": True, "precision": "bfloat16", "channels_last": True}]
)
def test_graphs_for_real(changes):
    found = []
    for graphs in (False, True):
        flat = FlatModel(network(normalised=True).to("cuda"))
        training = replace(TRAINING, **{**changes, "graphs": graphs})
        Loop(flat, data().to("cuda"), training, seed=0).run()
        found.append(flat.parameter.detach())
    torch.testing.assert_close(found[1], found[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "float16"}, "precision must be one of float32, bfloat16, got 'float16'"),
        ({"accumulate": 0}, "accumulate must be 1 to batch_size"),
        ({"accumulate": 25}, "accumulate must be 1 to batch_size"),
    ],
)
def test_wrong_settings_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(TRAINING, **changes)

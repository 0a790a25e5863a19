"""Pruned weights are exactly zero at every step: momentum, weight decay, Adam, batch norm, changing masks."""

import pytest
import torch

from nets.configuration import Training
from nets.masking.course import SparseTraining
from nets.masking.parametrization import attach
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

RECIPES = [
    Training(epochs=2, batch_size=32, lr=0.1, momentum=0.9, weight_decay=0.01),
    Training(epochs=2, batch_size=32, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    Training(epochs=2, batch_size=32, lr=0.1, momentum=0.0),
    Training(epochs=2, batch_size=32, lr=0.01, optimiser="adam", weight_decay=0.01),
    Training(epochs=2, batch_size=32, lr=0.01, optimiser="adamw", weight_decay=0.01),
]


class Watch(Hook):
    """Check the weights that the network sees, by name, before and after every step."""

    def __init__(self, sparse, alive=True):
        self.sparse = sparse
        self.steps = 0
        self.alive = alive

    def _check(self, loop):
        parameters = dict(loop.model.named_parameters())
        for name, mask in loop.flat.layout.split(self.sparse.mask).items():
            weight = parameters[name].detach()
            assert (weight[~mask] == 0).all()
            assert not self.alive or (weight[mask] != 0).any()

    def before_step(self, loop):
        self._check(loop)

    def after_step(self, loop):
        self._check(loop)
        self.steps += 1


def some_mask(n, density=0.3, seed=0):
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) < density


@pytest.mark.parametrize("training", RECIPES, ids=lambda t: f"{t.optimiser}-{t.momentum}-{t.nesterov}")
def test_pruned_weights_are_zero_at_every_step(blobs, conv_net, training):
    flat = FlatModel(conv_net())
    sparse = SparseTraining(some_mask(flat.n))
    watch = Watch(sparse)
    Loop(flat, blobs, training, seed=0, hooks=[sparse, watch]).run()
    assert watch.steps == 14


@pytest.mark.parametrize("training", RECIPES, ids=lambda t: f"{t.optimiser}-{t.momentum}-{t.nesterov}")
def test_a_mask_that_changes_in_training_holds_at_once(blobs, conv_net, training):
    """The optimiser's memory of a weight just pruned must not bring it back."""

    class Change(Hook):
        def __init__(self, sparse):
            self.sparse = sparse

        def after_step(self, loop):
            if loop.step % 3 == 0:
                self.sparse.change(loop, some_mask(loop.flat.n, seed=loop.step))

    flat = FlatModel(conv_net())
    sparse = SparseTraining(torch.ones(flat.n, dtype=torch.bool))
    Loop(flat, blobs, training, seed=0, hooks=[sparse, Change(sparse), Watch(sparse, alive=False)]).run()


def test_same_as_a_masked_network_trained_by_parametrization(blobs, conv_net):
    """The mask folded into gradients against the mask multiplied into weights: one mathematics, two ways."""
    training = Training(epochs=2, batch_size=32, lr=0.05, momentum=0.9)
    flat = FlatModel(conv_net())
    mask = some_mask(flat.n)
    Loop(flat, blobs, training, seed=0, hooks=[SparseTraining(mask)]).run()
    twin = attach(conv_net(), flat.layout.split(mask))
    Loop(FlatModel(twin, include=["*original"]), blobs, training, seed=0).run()
    for name, module in (("conv", twin.conv), ("hidden", twin.hidden), ("out", twin.out)):
        torch.testing.assert_close(flat.model.get_submodule(name).weight, module.weight, rtol=1e-4, atol=1e-5)


def test_resumes_to_the_bit(blobs, conv_net):
    training = RECIPES[0]
    flat = FlatModel(conv_net())
    mask = some_mask(flat.n)
    Loop(flat, blobs, training, seed=0, hooks=[SparseTraining(mask)]).run()
    half = Loop(FlatModel(conv_net()), blobs, training, seed=0, hooks=[SparseTraining(mask)])
    half.run(until=5)
    nothing = torch.zeros(flat.n, dtype=torch.bool)
    resumed = Loop(FlatModel(conv_net()), blobs, training, seed=0, hooks=[SparseTraining(nothing)])
    resumed.load_state_dict(half.state_dict())
    resumed.run()
    assert torch.equal(resumed.flat.weights, flat.weights)

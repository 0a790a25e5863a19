"""What an optimiser remembers of weights that have no gradient does not slow the processor down."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import nets
from concave_sparsity import Log
from nets.configuration import Training
from nets.masking.relaxed_mask import RelaxedMask
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop
from nets.training.optimisers import LOOK, flush_denormals

OPTIMISERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.7),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.7, nesterov=True),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, betas=(0.7, 0.999)),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1e-3, momentum=0.7, centered=True),
}


def denormals(optimiser):
    """Return how many numbers of the running means of gradients are denormal."""
    names = ("momentum_buffer", "exp_avg", "grad_avg")
    means = [state[name] for state in optimiser.state.values() for name in names if name in state]
    assert means
    return sum(int(((mean != 0) & (mean.abs() < torch.finfo(mean.dtype).tiny)).sum()) for mean in means)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_only_denormals_become_zero(dtype):
    parameter = nn.Parameter(torch.zeros(6, dtype=dtype))
    optimiser = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    tiny = torch.finfo(dtype).tiny
    held = torch.tensor([1.0, -tiny, tiny / 2, -tiny / 4, 0.0, torch.inf], dtype=dtype)
    optimiser.state[parameter]["momentum_buffer"] = held
    optimiser.state["steps"] = 100  # as some optimisers of others do
    flush_denormals(optimiser)
    assert held.tolist() == torch.tensor([1.0, -tiny, 0.0, 0.0, 0.0, torch.inf], dtype=dtype).tolist()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_search_in_a_loop_of_ones_own_leaves_no_denormals(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3))
    optimiser = OPTIMISERS[name](model.parameters())
    steps = 5 * LOOK
    nets.Masking(model, optimiser, penalty=Log(0.02), density=0.1, steps=steps)
    x, y, seen = torch.randn(30, 12), torch.arange(30) % 3, 0
    for step in range(1, steps + 1):
        cross_entropy(model(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()
        if step % LOOK == 0:
            assert denormals(optimiser) == 0
        elif step % LOOK == LOOK - 1:
            seen += denormals(optimiser)
    assert seen, "nothing to flush came up: the search is too short to prove anything"


@pytest.mark.parametrize("changes", [{}, {"optimiser": "adam", "lr": 1e-3}], ids=str)
def test_a_search_in_our_loop_leaves_no_denormals(blobs, conv_net, changes):
    training = replace(Training(epochs=64, batch_size=30, lr=0.05, momentum=0.7), **changes)
    loop = Loop(
        FlatModel(conv_net()), blobs, training, seed=0, hooks=[RelaxedMask(Log(0.02), 0.05)], part=None
    )
    assert loop.steps > 5 * LOOK
    loop.run(5 * LOOK - 1)
    assert denormals(loop.optimiser)
    loop.run(5 * LOOK)
    assert denormals(loop.optimiser) == 0

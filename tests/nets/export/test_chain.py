"""Chains of linear layers: found in modules, equal to torch, refused where they are none."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nets.export.chain import Chain, NotAChain


def thin(model, density=0.2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.mul_(torch.rand(p.shape, generator=generator) < density)
            elif "running" not in name:
                p.copy_(torch.randn(p.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
            elif name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return model.eval()


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=5),
    st.integers(1, 20),
    st.floats(0, 1),
    st.sampled_from([None, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU]),
    st.booleans(),
    st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_it_computes_what_torch_computes(sizes, samples, density, activation, bias, seed):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, bias=bias), *([activation()] if activation else [])]
    model = thin(nn.Sequential(*layers), density, seed)
    x = torch.randn(samples, sizes[0], generator=torch.Generator().manual_seed(seed))
    chain = Chain(model)
    with torch.no_grad():
        torch.testing.assert_close(chain(x), model(x), rtol=1e-4, atol=1e-5)
    assert chain.weights == sum(int((p != 0).sum()) for p in model.parameters() if p.dim() == 2)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(12, 9)
        self.norm = nn.BatchNorm1d(9)
        self.drop = nn.Dropout(0.5)
        self.two = nn.Linear(9, 4)
        self.last = nn.BatchNorm1d(4, affine=False)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = self.drop(functional.relu(self.norm(self.one(x))))
        x = functional.dropout(x, 0.3, training=self.training)
        return torch.sigmoid(self.last(self.two(x)))


def test_batches_are_shared_by_threads_to_the_bit(monkeypatch):
    monkeypatch.setattr("nets.export.chain.SHARED", 0)
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3), nn.Tanh(), nn.Linear(3, 7))
    chain = Chain(model)
    before = torch.get_num_threads()
    try:
        for samples in (0, 1, 2, 3, 8, 9, 31, 200):
            x = torch.randn(samples, 20, generator=generator)
            told = []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                told += [chain(x) for _ in range(5)]
            assert all(torch.equal(told[0], other) for other in told)
            with torch.no_grad():
                torch.testing.assert_close(told[0], model(x), rtol=1e-4, atol=1e-5)
    finally:
        torch.set_num_threads(before)


def test_copies_read_memory_of_their_own_and_threads_may_call_at_once():
    chain = Chain(nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)))
    x = torch.randn(40, 20)
    wanted = chain(x)
    copies = [copy.deepcopy(chain), pickle.loads(pickle.dumps(chain))]
    del chain
    with ThreadPoolExecutor(3) as pool:
        for one in copies:
            assert all(torch.equal(wanted, found) for found in pool.map(one, [x] * 60))


@pytest.mark.parametrize("x", [torch.ones(2, 20, device="meta"), torch.ones(2, 20).to_sparse()])
def test_what_does_not_lie_in_plain_memory_is_refused(x):
    with pytest.raises((TypeError, RuntimeError)):
        Chain(nn.Sequential(nn.Linear(20, 3)))(x)


def test_normalisation_dropout_and_functions_are_followed():
    model = thin(Functional())
    x = torch.randn(5, 3, 4)
    with torch.no_grad():
        torch.testing.assert_close(Chain(model)(x), model(x), rtol=1e-4, atol=1e-5)


def test_nan_goes_through_and_strided_inputs_are_right():
    model = thin(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)), 1.0)
    x = torch.randn(8, 4).T
    with torch.no_grad():
        torch.testing.assert_close(Chain(model)(x), model(x), rtol=1e-4, atol=1e-5)
    x = torch.full((3, 8), torch.nan)
    assert torch.isnan(Chain(model)(x)).all()
    assert torch.isnan(Chain(model)(x[:1])).all()
    with pytest.raises(ValueError, match="takes 8 float32 numbers a sample, got 7"):
        Chain(model)(torch.zeros(2, 7))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 6)

    def forward(self, x):
        return x + self.one(x)


class Branching(Residual):
    def forward(self, x):
        return self.one(x) if x.sum() > 0 else x


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 6)

    def forward(self, x):
        x = torch.relu(self.one(x))
        return self.one(x) * x


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Residual(), "read more than once"),
        (Branching(), "its forward pass cannot be traced"),
        (Twice(), "read more than once"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), "Conv2d"),
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), "LayerNorm"),
        (nn.Sequential(nn.Linear(3, 3), nn.GELU(approximate="tanh")), "GELU"),
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 3)), "ReLU"),
        (nn.Sequential(nn.Linear(3, 3).double()), "not float32 on the CPU"),
        (nn.Sequential(nn.ReLU()), "ReLU"),
        (nn.Sequential(nn.Identity()), "it has no linear layer"),
    ],
)
def test_other_networks_are_refused(model, reason):
    with pytest.raises(NotAChain, match=reason):
        Chain(model.eval())

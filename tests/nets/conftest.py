"""Small data and networks for the tests of `nets`."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nets.data import load

sys.path.insert(0, str(Path(__file__).parent))  # users_own


class SmallConvNet(nn.Module):
    """Convolution, batch normalisation, dropout and two linear layers: all that masks must get right."""

    def __init__(self, n_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.1)
        self.hidden = nn.Linear(6 * 4, 12)
        self.out = nn.Linear(12, n_classes, bias=False)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.nn.functional.max_pool2d(x, 4).flatten(1)
        return self.out(self.drop(torch.relu(self.hidden(x))))


@pytest.fixture(scope="session")
def blobs():
    """Three classes of noisy 8 x 8 images: 240 for training, 30 for validation, 30 for the test."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    prototypes = torch.randn(3, 1, 8, 8, generator=generator)
    x = prototypes[y] + 0.7 * torch.randn(300, 1, 8, 8, generator=generator)
    return load((x, y), validation=30, test=30)


@pytest.fixture
def conv_net():
    """Return a function that builds the small network with given initial weights."""

    def build(seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return SmallConvNet()

    return build


@pytest.fixture(scope="session")
def networks():
    """Return the classes of `coupled_networks.py`, by name."""
    path = Path(__file__).with_name("coupled_networks.py")
    spec = importlib.util.spec_from_file_location("coupled_networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)

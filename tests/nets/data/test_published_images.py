"""The published photographs, unpacked from packed copies where the data folder has them."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch

from nets.data import load

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "unpack_data.py"


@pytest.fixture(scope="module")
def unpacked(data_dir, tmp_path_factory):
    """A function that unpacks one of the packed copies and returns the folder it is in."""
    spec = importlib.util.spec_from_file_location("unpack_data", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    destination = tmp_path_factory.mktemp("published")

    def unpack(name: str) -> Path:
        if not (data_dir / name).is_dir() or not (data_dir / "load_packed.py").is_file():
            pytest.skip(f"{data_dir} holds no packed copy of {name}")
        script.unpack(data_dir, destination, name)
        return destination

    yield unpack
    shutil.rmtree(destination)


def whiteness(data) -> tuple[float, float]:
    """Largest distance of the channels' mean from 0 and deviation from 1 over training and validation."""
    x = torch.cat([data.x_train, data.x_validation])[::5]
    x = data.normalise(x)
    return float(x.mean((0, 2, 3)).abs().max()), float((x.std((0, 2, 3)) - 1).abs().max())


def test_cifar10_as_published(unpacked):
    """The six files of Python 2 with their published md5, through the restricted unpickler."""
    data = load("cifar10", data_dir=unpacked("cifar10"), download=False)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (45000, 5000, 10000)
    assert data.y_train.bincount().tolist() == [4500] * 10
    assert data.y_validation.bincount().tolist() == [500] * 10
    assert data.y_test[:8].tolist() == [3, 8, 8, 0, 6, 6, 1, 6]
    assert data.x_train.dtype == torch.uint8
    assert max(whiteness(data)) < 0.02


def test_cifar100_records(unpacked):
    folder = unpacked("cifar100")
    data = load("cifar100", data_dir=folder, download=False, verify=False)
    assert data.y_test.bincount().tolist() == [100] * 100
    assert max(whiteness(data)) < 0.02
    with pytest.raises(ValueError, match=r"train.bin is not the published file"):
        load("cifar100", data_dir=folder, download=False)


@pytest.mark.slow
def test_tiny_imagenet_photographs(unpacked):
    data = load(unpacked("tiny-imagenet-20") / "tiny-imagenet-20")
    assert data.input_shape == (3, 64, 64)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (9000, 1000, 1000)
    assert data.y_test.bincount().tolist() == [50] * 20
    assert max(whiteness(data)) < 0.02

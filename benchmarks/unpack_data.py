"""Unpack packed copies of image data sets into the layouts that their authors publish.

``python benchmarks/unpack_data.py PACKED DESTINATION`` reads a folder of packed copies (with its own reader
``load_packed.py``, which is run) and writes, for each set that it finds:

- ``cifar-10-batches-py``, byte for byte the published files: ``--data cifar10 --data-dir DESTINATION``;
- ``cifar-100-binary``, the published records in another order, so that their md5 differ:
  ``nets.data.load("cifar100", data_dir=DESTINATION, verify=False)``;
- ``tiny-imagenet-20``, twenty of the two hundred classes, as an image folder with the published validation
  part as the test part: ``--data DESTINATION/tiny-imagenet-20``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cyclopts
import numpy as np

app = cyclopts.App(name="unpack_data.py", help=__doc__)


def reader(packed: Path) -> ModuleType:
    """Import the reader that comes with the packed copies."""
    spec = importlib.util.spec_from_file_location("load_packed", packed / "load_packed.py")
    if spec is None or spec.loader is None or not (packed / "load_packed.py").is_file():
        raise FileNotFoundError(f"{packed} holds no load_packed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cifar10(packed: Path, destination: Path) -> Path:
    """Write cifar-10-batches-py; the reader checks each md5."""
    if reader(packed).main("unpack", str(packed), str(destination)) != 0:
        raise ValueError(f"the packed CIFAR-10 in {packed} is not the published one")
    return destination / "cifar-10-batches-py"


def cifar100(packed: Path, destination: Path) -> Path:
    """Write cifar-100-binary: coarse label, fine label, 3 x 1024 bytes a record."""
    folder = destination / "cifar-100-binary"
    folder.mkdir(parents=True, exist_ok=True)
    archive = packed / "cifar100" / "cifar100_webp.npz"
    for part in ("train", "test"):
        images, fine = reader(packed).load_webp_npz(str(archive), part)
        with np.load(archive) as stored:
            coarse = stored[f"{part}_coarse_labels"]
        pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        records = np.concatenate([coarse[:, None], fine[:, None], pixels], axis=1).astype(np.uint8)
        (folder / f"{part}.bin").write_bytes(records.tobytes())
    return folder


def tiny_imagenet(packed: Path, destination: Path) -> Path:
    """Write the original JPEG files, one folder a class."""
    folder = destination / "tiny-imagenet-20"
    with np.load(packed / "tiny-imagenet-20" / "tiny_imagenet_20.npz") as stored:
        classes = [str(name) for name in stored["wnids"]]
        for part, target in (("train", "train"), ("val", "test")):
            content, offsets = stored[f"{part}_jpeg"].tobytes(), stored[f"{part}_offsets"]
            for name in classes:
                (folder / target / name).mkdir(parents=True, exist_ok=True)
            for k, label in enumerate(stored[f"{part}_labels"]):
                file = folder / target / classes[label] / f"{k:05}.JPEG"
                file.write_bytes(content[offsets[k] : offsets[k + 1]])
    return folder


SETS: dict[str, Callable[[Path, Path], Path]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "tiny-imagenet-20": tiny_imagenet,
}


@app.default
def unpack(packed: Path, destination: Path, *names: str) -> None:
    """Unpack the named sets (default: all that are there).

    Parameters
    ----------
    packed
        Folder of packed copies.
    destination
        Data folder to write to.
    names
        cifar10, cifar100, tiny-imagenet-20.
    """
    chosen = names or tuple(name for name in SETS if (packed / name).is_dir())
    for name in chosen:
        if name not in SETS:
            raise ValueError(f"unknown set {name!r}; choose from {', '.join(SETS)}")
        print(f"{name}: {SETS[name](packed, destination)}")


if __name__ == "__main__":
    app()

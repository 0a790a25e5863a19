"""The two published forms of CIFAR-10 and CIFAR-100: pickled python batches and binary records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.data.download import md5_of_bytes, refuse_unless_published
from nets.data.restricted_pickle import read_pickled_arrays
from nets.data.source import PublishedFile, RawData, labels

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def _content(folder: Path, file: PublishedFile, verify: bool) -> bytes:
    path = folder / file.name
    content = path.read_bytes()
    if verify:
        refuse_unless_published(path, md5_of_bytes(content), file.md5)
    return content


def read_python_batch(
    folder: Path, file: PublishedFile, verify: bool, label_key: str, n_classes: int
) -> tuple[Images, Labels]:
    """Read one pickled batch: images (n, 3, 32, 32) and labels (n,)."""
    path = folder / file.name
    batch = read_pickled_arrays(_content(folder, file, verify), path)
    pixels: Any = batch.get("data")
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 2
        or pixels.shape[1] != PIXELS
    ):
        raise ValueError(f"{path} holds no 'data' of shape (n, {PIXELS}) in bytes")
    if label_key not in batch:
        raise ValueError(f"{path} holds no {label_key!r}")
    y = labels(batch[label_key], n_classes, path)
    if len(y) != len(pixels):
        raise ValueError(f"{path} holds {len(pixels)} images and {len(y)} labels")
    return pixels.reshape(-1, *SHAPE), y


def read_binary_batch(
    folder: Path, file: PublishedFile, verify: bool, label_bytes: int, n_classes: int
) -> tuple[Images, Labels]:
    """Read one file of records, each `label_bytes` label bytes (the last counts) and 3072 pixels."""
    path = folder / file.name
    content = _content(folder, file, verify)
    record = label_bytes + PIXELS
    if not content or len(content) % record:
        raise ValueError(
            f"{path} holds {len(content)} bytes, which is no multiple of its records of {record}"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return records[:, label_bytes:].reshape(-1, *SHAPE), labels(records[:, label_bytes - 1], n_classes, path)


def join(
    train: Sequence[tuple[Images, Labels]], test: tuple[Images, Labels], class_names: tuple[str, ...]
) -> RawData:
    """Join the training batches in order."""
    return RawData(
        np.concatenate([x for x, _ in train]),
        np.concatenate([y for _, y in train]),
        *test,
        class_names=class_names,
    )

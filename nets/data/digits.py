"""Digits: 1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nets.data.source import RawData, Source


def read(folder: Path, verify: bool) -> RawData:
    """Read the copy that scikit-learn ships; nothing is looked for in `folder`."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[:, None]  # values 0 .. 16
    return RawData(images, bunch.target.astype(np.int64), class_names=tuple(str(k) for k in range(10)))


SOURCE = Source(
    name="digits",
    title="handwritten digits, 8 x 8 grey, bundled with scikit-learn",
    n_classes=10,
    input_shape=(1, 8, 8),
    n_train=1797,
    n_test=0,
    folders=(),
    files=(),
    read=read,
    mean=(0.3053,),
    std=(0.3760,),
    scale=16.0,
    validation=180,
    reference="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
    remedy="comes with scikit-learn",
)

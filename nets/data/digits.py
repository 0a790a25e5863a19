"""Digits: 1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn."""

from __future__ import annotations

import numpy as np

from nets.data.source import RawData, Source


def read() -> RawData:
    """Read the copy that scikit-learn ships; pixels are counts 0 .. 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return RawData(
        bunch.images.astype(np.uint8)[:, None],
        bunch.target.astype(np.int64),
        class_names=tuple(str(k) for k in range(10)),
    )


SOURCE = Source(
    name="digits",
    title="handwritten digits, 8 x 8 grey",
    n_classes=10,
    input_shape=(1, 8, 8),
    n_train=1797,
    n_test=0,
    mean=(0.3053,),
    std=(0.3760,),
    reference="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998",
    bundled=read,
    scale=16.0,
    validation=180,
)

"""LeNet-300-100 and LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998)."""

from __future__ import annotations

import math

from torch import nn

from nets.models.parts import glorot_normal, image_shape, scaled


def lenet_300_100(input_shape: tuple[int, ...], n_classes: int, *, width: float = 1.0) -> nn.Module:
    """Two hidden layers of 300 and 100 ReLU units; inputs of any shape; Glorot normal.

    266,610 parameters on MNIST (Frankle and Carbin, ICLR 2019, figure 2: 266K).
    """
    first, second = scaled(300, width), scaled(100, width)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(input_shape), first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, n_classes),
    )
    glorot_normal(model)
    return model


def lenet_5(input_shape: tuple[int, ...], n_classes: int, *, width: float = 1.0) -> nn.Module:
    """Two 5 x 5 convolutions of 20 and 50 channels, each max-pooled, and 500 hidden units; Glorot normal.

    The variant of Caffe's MNIST example on which pruning papers report (Han, Pool, Tran and Dally, NeurIPS
    2015, table 1: 431K): 431,080 parameters on MNIST.
    """
    channels, *sides = image_shape("lenet-5", input_shape, smallest=16)
    first, second, hidden = scaled(20, width), scaled(50, width), scaled(500, width)
    rows, columns = (((side - 4) // 2 - 4) // 2 for side in sides)
    model = nn.Sequential(
        nn.Conv2d(channels, first, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * rows * columns, hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_classes),
    )
    glorot_normal(model)
    return model

"""LeNet-300-100: the fully connected network of LeCun et al. 1998, as in Frankle and Carbin 2019."""

from __future__ import annotations

import math

from torch import nn

from nets.models.initialisation import glorot_normal


def lenet_300_100(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Two hidden layers of 300 and 100 ReLU units; 266,610 parameters on MNIST."""
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(input_shape), 300),
        nn.ReLU(),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Linear(100, n_classes),
    )
    glorot_normal(model)
    return model

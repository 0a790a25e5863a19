"""Networks of layers one after another: LeNet, Conv-2, 4, 6 (Frankle and Carbin) and VGG."""

from __future__ import annotations

import math

from torch import nn

from nets.models.parts import glorot_normal, image_shape, kaiming_normal, scaled


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


STAGES = (64, 128, 256)


def conv(input_shape: tuple[int, ...], n_classes: int, *, depth: int, width: float = 1.0) -> nn.Module:
    """Stages of two 3 x 3 convolutions and a max pooling, then two hidden layers of 256 units; Glorot normal.

    On CIFAR-10 Conv-2 has 4,301,642 parameters and Conv-4 2,425,930, the 4.3M and 2.4M of the paper. Conv-6,
    as the paper's own table lists its layers, has 2,262,602; the 1.7M printed there would need the first
    hidden layer to see half of the last stage's 256 channels.
    """
    n_stages = depth // 2
    channels, rows, columns = image_shape(f"conv-{depth}", input_shape, smallest=2**n_stages)
    layers: list[nn.Module] = []
    for stage in STAGES[:n_stages]:
        out = scaled(stage, width)
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(out, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, rows, columns = out, rows // 2, columns // 2
    hidden = scaled(256, width)
    layers += [
        nn.Flatten(),
        nn.Linear(channels * rows * columns, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_classes),
    ]
    model = nn.Sequential(*layers)
    glorot_normal(model)
    return model


#: Number of convolutions in each of the five stages (configurations A, D and E of the paper).
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def vgg(input_shape: tuple[int, ...], n_classes: int, *, depth: int, width: float = 1.0) -> nn.Module:
    """Five stages of 3 x 3 convolutions, each ended by max pooling, average pooling, one linear layer.

    The paper's two layers of 4,096 units are left out, as is usual on CIFAR, and a convolution has no bias,
    since batch normalisation has one: 9,228,362, 14,724,042 and 20,035,018 parameters on CIFAR-10 at depth
    11, 16 and 19 (with the idle biases, 14,728,266 at depth 16). Kaiming normal (fan out).
    """
    channels, _, _ = image_shape(f"vgg-{depth}", input_shape, smallest=2 ** len(WIDTHS))
    layers: list[nn.Module] = []
    for stage, count in zip(WIDTHS, CONVOLUTIONS[depth]):
        out = scaled(stage, width)
        for _ in range(count):
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes)]
    model = nn.Sequential(*layers)
    kaiming_normal(model, "fan_out")
    return model

"""Conv-2, Conv-4 and Conv-6: small relatives of VGG (Frankle and Carbin, ICLR 2019, figure 2)."""

from __future__ import annotations

from torch import nn

from nets.models.parts import glorot_normal, image_shape, scaled

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

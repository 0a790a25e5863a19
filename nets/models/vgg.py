"""VGG-11, 16, 19 with batch normalisation, in their CIFAR form (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

from torch import nn

from nets.models.parts import image_shape, kaiming_normal, scaled

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

"""ResNet-18 (He, Zhang, Ren and Sun, CVPR 2016, table 1), with the stem of CIFAR or of ImageNet."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from nets.models.parts import image_shape, kaiming_normal, scaled


class ProjectedBlock(nn.Module):
    """Two 3 x 3 convolutions added to the input, projected by a 1 x 1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (n, channels_out, height / stride, width / stride)."""
        out = functional.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return functional.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """A stem, four stages of two blocks of 64, 128, 256 and 512 channels, average pooling, a linear layer."""

    def __init__(
        self, channels: int, n_classes: int, stem: Literal["cifar", "imagenet"], width: float = 1.0
    ) -> None:
        super().__init__()
        before = scaled(64, width)
        if stem == "cifar":
            self.conv = nn.Conv2d(channels, before, 3, padding=1, bias=False)
            self.pool: nn.Module = nn.Identity()
        else:
            self.conv = nn.Conv2d(channels, before, 7, stride=2, padding=3, bias=False)
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(before)
        layers = []
        for stage, units in enumerate((64, 128, 256, 512)):
            out = scaled(units, width)
            for block in range(2):
                layers.append(ProjectedBlock(before, out, stride=2 if stage > 0 and block == 0 else 1))
                before = out
        self.blocks = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (n, n_classes)."""
        out = self.blocks(self.pool(functional.relu(self.norm(self.conv(x)))))
        return self.classifier(out.mean((2, 3)))  # type: ignore[no-any-return]


def resnet_18(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    stem: Literal["cifar", "imagenet"] = "cifar",
    width: float = 1.0,
) -> nn.Module:
    """ResNet-18 with projected shortcuts (option B); Kaiming normal (fan out, as in torchvision).

    The stem of CIFAR is a 3 x 3 convolution without pooling: 11,173,962 parameters on CIFAR-10. That of
    ImageNet is 7 x 7 with stride 2 and a max pooling: 11,689,512 parameters on its 1,000 classes.
    """
    name = "resnet-18" if stem == "cifar" else "resnet-18-imagenet"
    channels, _, _ = image_shape(name, input_shape, smallest=8 if stem == "cifar" else 32)
    model = ResNet18(channels, n_classes, stem, width)
    kaiming_normal(model, "fan_out")
    return model

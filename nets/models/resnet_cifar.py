"""The residual networks of CIFAR: ResNet-20, 32, 56 (He, Zhang, Ren and Sun, CVPR 2016, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nets.models.parts import image_shape, kaiming_normal, scaled


class Shortcut(nn.Module):
    """Option A: every other pixel, and channels of zeros for those that are new; no parameters."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor, channels: int) -> Tensor:
        """Return x, subsampled and padded to so many channels."""
        if self.stride == 1 and channels == x.shape[1]:
            return x
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation, added to the shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = Shortcut(stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (n, channels_out, height / stride, width / stride)."""
        out = functional.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return functional.relu(out + self.shortcut(x, out.shape[1]))


class CifarResNet(nn.Module):
    """A 3 x 3 convolution, three stages of 16, 32 and 64 channels, average pooling, one linear layer."""

    def __init__(self, channels: int, n_classes: int, blocks: int, width: float = 1.0) -> None:
        super().__init__()
        before = scaled(16, width)
        self.conv = nn.Conv2d(channels, before, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(before)
        layers = []
        for stage, units in enumerate((16, 32, 64)):
            for block in range(blocks):
                out = max(before, scaled(units, width))  # option A cannot take channels away
                layers.append(BasicBlock(before, out, stride=2 if stage > 0 and block == 0 else 1))
                before = out
        self.blocks = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (n, n_classes)."""
        out = self.blocks(functional.relu(self.norm(self.conv(x))))
        return self.classifier(out.mean((2, 3)))  # type: ignore[no-any-return]


def resnet_cifar(
    input_shape: tuple[int, ...], n_classes: int, *, depth: int, width: float = 1.0
) -> nn.Module:
    """ResNet of depth 6 n + 2 with option A shortcuts; Kaiming normal (fan in).

    On CIFAR-10 depth 20, 32, 56 has 269,722, 464,154, 853,018 parameters (table 6 of the paper: 0.27M, 0.46M,
    0.85M).
    """
    channels, _, _ = image_shape(f"resnet-{depth}", input_shape, smallest=4)
    model = CifarResNet(channels, n_classes, (depth - 2) // 6, width)
    kaiming_normal(model)
    return model

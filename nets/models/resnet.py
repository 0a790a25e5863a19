"""Residual networks: for CIFAR (He et al.), ResNet-18, wide ones (Zagoruyko and Komodakis, BMVC 2016)."""

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


class PreactivationBlock(nn.Module):
    """Normalise, rectify and convolve, twice, added to the input or to its 1 x 1 convolution."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.projection: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.projection = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (n, channels_out, height / stride, width / stride)."""
        active = functional.relu(self.norm1(x))
        out: Tensor = self.conv2(functional.relu(self.norm2(self.conv1(active))))
        # Where the shape changes, the shortcut starts from the activated input, as in the authors' code.
        kept: Tensor = x if self.projection is None else self.projection(active)
        return out + kept


class WideResNet(nn.Module):
    """A 3 x 3 convolution, stages of 16, 32, 64 times `widen` channels, average pooling, a linear layer."""

    def __init__(self, channels: int, n_classes: int, blocks: int, widen: int, width: float = 1.0) -> None:
        super().__init__()
        before = scaled(16, width)
        self.conv = nn.Conv2d(channels, before, 3, padding=1, bias=False)
        layers = []
        for stage, base in enumerate((16, 32, 64)):
            for block in range(blocks):
                out = scaled(base * widen, width)
                layers.append(PreactivationBlock(before, out, 2 if stage > 0 and block == 0 else 1))
                before = out
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(before)
        self.classifier = nn.Linear(before, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (n, n_classes)."""
        out = functional.relu(self.norm(self.blocks(self.conv(x))))
        return self.classifier(out.mean((2, 3)))  # type: ignore[no-any-return]


def wide_resnet(
    input_shape: tuple[int, ...], n_classes: int, *, depth: int, widen: int, width: float = 1.0
) -> nn.Module:
    """WRN of depth 6 n + 4, without dropout; Kaiming normal (fan out, as in the authors' code).

    On CIFAR-10 WRN-16-8, 22-2 and 28-10 have 10,961,370, 1,079,642 and 36,479,194 parameters (table 4 of the
    paper: 11.0M for 16-8 and 36.5M for 28-10).
    """
    channels, _, _ = image_shape(f"wide-resnet-{depth}-{widen}", input_shape, smallest=4)
    model = WideResNet(channels, n_classes, (depth - 4) // 6, widen, width)
    kaiming_normal(model, "fan_out")
    return model

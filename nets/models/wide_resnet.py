"""Wide residual networks: WRN-16-8, 22-2, 28-10 (Zagoruyko and Komodakis, BMVC 2016)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nets.models.parts import image_shape, kaiming_normal, scaled


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

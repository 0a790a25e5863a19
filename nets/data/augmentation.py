"""Random crop, flip and cutout of a whole batch at once, on the device that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Draw(NamedTuple):
    """The random choices for one batch, each an int64 tensor of shape (n,)."""

    #: Row and column of the crop's corner in the padded image, 0 .. 2 pad.
    top: Tensor
    left: Tensor
    #: 1 where the crop is mirrored.
    mirrored: Tensor
    #: Row and column of the centre of the square that is cut out.
    row: Tensor
    column: Tensor


@dataclass(frozen=True)
class Augmentation:
    """Pad and crop, mirror left to right, cut out a square: each image its own choice.

    The random choices (`draw`) are apart from what is done with them (`apply`), which is a pure function of
    tensors: no loop, no synchronisation, so that it can be captured in a CUDA graph. Drawn from a CPU
    generator, the same seed gives the same images on every device.

    Parameters
    ----------
    pad : int
        Pixels of padding on each side before a crop of the original size; 0 crops nothing.
    flip : bool
        Mirror half of the images, chosen at random.
    cutout : int
        Side of the square that is blanked, its centre uniform over the image (DeVries, Taylor 2017); 0 cuts
        none.

    Notes
    -----
    Crop and flip are the standard augmentation of CIFAR (He, Zhang, Ren, Sun 2016, section 4.2).
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("pad", "cutout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a number of pixels, 0 or more, got {value!r}")

    def draw(self, x: Tensor, generator: torch.Generator) -> Draw:
        """Draw the random choices for the batch `x`, shape (n, channels, height, width).

        Five numbers an image are drawn whatever the settings are, so that switching one part off does not
        change the others.
        """
        n, _, height, width = _image_shape(x)
        uniform = torch.rand((5, n), generator=generator, device=generator.device)
        corners = 2 * self.pad + 1
        levels = (corners, corners, 2 if self.flip else 1, height, width)
        # The product may round up to the number of levels, hence the clamp.
        choices = [(u * k).to(torch.int64).clamp_(max=k - 1) for u, k in zip(uniform, levels)]
        return Draw(*torch.stack(choices).to(x.device, non_blocking=True))

    def apply(self, x: Tensor, draw: Draw, fill: Tensor | float = 0.0) -> Tensor:
        """Return the augmented batch, of the shape and dtype of `x`.

        Parameters
        ----------
        x : Tensor, shape (n, channels, height, width)
            Images, uint8 or floating point.
        draw : Draw
            What `draw` returned.
        fill : Tensor of shape (channels,) or float
            Value of padded and cut pixels.
        """
        n, channels, height, width = _image_shape(x)
        rows = torch.arange(height, device=x.device)
        columns = torch.arange(width, device=x.device)
        # Where each output pixel comes from, in the unpadded image.
        source_row = rows + (draw.top - self.pad)[:, None]
        source_column = torch.where(draw.mirrored[:, None] == 1, width - 1 - columns, columns)
        source_column = source_column + (draw.left - self.pad)[:, None]
        blank = ((source_row < 0) | (source_row >= height))[:, :, None] | (
            (source_column < 0) | (source_column >= width)
        )[:, None, :]
        if self.cutout:
            first = self.cutout // 2
            from_row, from_column = (
                rows - (draw.row - first)[:, None],
                columns - (draw.column - first)[:, None],
            )
            in_rows = (from_row >= 0) & (from_row < self.cutout)
            in_columns = (from_column >= 0) & (from_column < self.cutout)
            blank = blank | (in_rows[:, :, None] & in_columns[:, None, :])
        index = (source_row.clamp(0, height - 1) * width)[:, :, None] + source_column.clamp(0, width - 1)[
            :, None, :
        ]
        index = index.reshape(n, 1, height * width).expand(n, channels, height * width)
        moved = x.flatten(2).gather(2, index).view(x.shape)
        if isinstance(fill, Tensor):
            return torch.where(blank[:, None], fill.to(x).reshape(1, -1, 1, 1), moved)
        return moved.masked_fill_(blank[:, None], fill)

    def __call__(self, x: Tensor, generator: torch.Generator, fill: Tensor | float = 0.0) -> Tensor:
        """Draw and apply."""
        return self.apply(x, self.draw(x, generator), fill)


def _image_shape(x: Tensor) -> tuple[int, int, int, int]:
    if x.dim() != 4:
        raise ValueError(
            f"augmentation needs images (n, channels, height, width), got shape {tuple(x.shape)}"
        )
    n, channels, height, width = x.shape
    return n, channels, height, width

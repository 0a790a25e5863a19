"""ViT-Lite: a vision transformer small enough for CIFAR (Hassani et al., arXiv 2104.05704)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nets.models.parts import image_shape, scaled, truncated_normal

WIDTH = 256
HEADS = 4
HIDDEN = 512


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values are one linear layer, its rows (q, k, v) x head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.head_width = width // heads  # the number of heads is read from the weights: some may be removed
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended tokens, (n, tokens, width)."""
        n, tokens, _ = x.shape
        parts = self.query_key_value(x).view(n, tokens, 3, -1, self.head_width)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added to its input."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's tokens, (n, tokens, width)."""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.contract(functional.gelu(self.expand(self.norm2(x))))
        return out


class VisionTransformer(nn.Module):
    """Patches as tokens, a class token, learned positions, blocks, a linear layer on the class token."""

    def __init__(
        self, channels: int, n_patches: int, patch: int, n_classes: int, depth: int, width: float = 1.0
    ) -> None:
        super().__init__()
        units, hidden = scaled(WIDTH, width, multiple=HEADS), scaled(HIDDEN, width)
        self.patches = nn.Conv2d(channels, units, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, units))
        self.positions = nn.Parameter(torch.zeros(1, 1 + n_patches, units))
        self.blocks = nn.Sequential(*(TransformerBlock(units, HEADS, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(units)
        self.classifier = nn.Linear(units, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (n, n_classes)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1) + self.positions
        return self.classifier(self.norm(self.blocks(tokens))[:, 0])  # type: ignore[no-any-return]


def vit_lite(input_shape: tuple[int, ...], n_classes: int, *, depth: int, width: float = 1.0) -> nn.Module:
    """ViT-Lite of width 256 with 4 heads; truncated normal, standard deviation 0.02.

    The patch is the largest square that tiles the image and leaves at least seven a side: 4 x 4 for CIFAR and
    MNIST, 8 x 8 for Tiny-ImageNet, single pixels for digits. ViT-Lite-6/4 has 3,190,538 parameters on
    CIFAR-10 (the authors: 3.191M).
    """
    channels, rows, columns = image_shape(f"vit-lite-{depth}", input_shape, smallest=7)
    common = math.gcd(rows, columns)
    patch = max(p for p in range(1, common + 1) if common % p == 0 and min(rows, columns) // p >= 7)
    model = VisionTransformer(channels, (rows // patch) * (columns // patch), patch, n_classes, depth, width)
    truncated_normal(model)
    nn.init.trunc_normal_(model.positions, std=0.02)
    nn.init.trunc_normal_(model.class_token, std=0.02)
    return model

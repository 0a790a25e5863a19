"""A small transformer that predicts the next character of Python's documentation, with a few of its weights.

Run ``python examples/sparse_language_model.py``; ``--quick`` takes seconds. The text is that of ``help()``,
which comes with Python. Perplexity is how many characters the network hesitates between: lower is better.
"""

from __future__ import annotations

import sys
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn

import nets


class Characters(nn.Module):
    """A causal transformer: tokens (n, t) to logits (n, t, vocabulary)."""

    def __init__(self, vocabulary: int, context: int = 32, width: int = 48, depth: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(context, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Linear(width, vocabulary)
        self.register_buffer("later", torch.ones(context, context).triu(1).bool())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the next character."""
        return self.out(self.layers(self.embedding(tokens) + self.position, mask=self.later))


def text(characters: int, context: int = 32) -> tuple[Tensor, int]:
    """Return pieces of the documentation as tokens, shape (n, context), and how many characters there are."""
    raw = " ".join(" ".join(topics.values()).split())[:characters].encode("ascii", "replace")
    known = sorted(set(raw))
    tokens = torch.tensor([known.index(c) for c in raw])
    return tokens[: len(tokens) // context * context].view(-1, context), len(known)


def perplexity(method: str, density: float, seed: int = 0, quick: bool = False) -> float:
    """Return the perplexity on held-out text of a ticket that was found and trained from its start."""
    tokens, vocabulary = text(40_000 if quick else 300_000)
    torch.manual_seed(seed)
    model, data = Characters(vocabulary), (tokens, tokens)
    training = nets.Training(epochs=1 if quick else 4, batch_size=32, optimiser="adamw", lr=3e-3)
    shared = {"task": "language-model", "training": training, "seed": seed}
    given = {"density": density, "exclude": ("embedding*", "position", "out*"), **shared}
    ticket = None if density == 1 else nets.find_ticket(model, data, method, **given)
    return nets.retrain(ticket, model, data, **shared).test_score


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    for p in (0.2,) if quick else (0.5, 0.2, 0.1):
        for method in ("concave", "magnitude", "random"):
            print(f"{p:.0%} of the weights, {method}: {perplexity(method, p, quick=quick):.2f}")

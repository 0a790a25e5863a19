"""A layer-wise ticket is one like any other: rewound, retrained, fine-tuned."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

import nets
from concave_sparsity import Log
from nets.configuration import Training
from nets.data import load
from nets.methods.layerwise import _layers
from nets.report import write_report
from nets.runs.execution import execute
from nets.runs.jobs import Keeping, jobs
from nets.runs.sweep import plays_of
from nets.storage.atomic import json_line


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))


def test_a_pruned_network_is_rewound_and_retrained_or_trained_on() -> None:
    data = load("digits")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10)
    )
    initial = {name: t.clone() for name, t in model.state_dict().items()}
    training = Training(epochs=3, batch_size=60, lr=0.1)
    trained = nets.retrain(None, model, data, training=training).model
    ticket = nets.prune(trained, data.normalise(data.x_train[:500]), 0.2, certify=False)
    rewound = dataclasses.replace(ticket, weights=initial)
    for start in (rewound, ticket):
        again = nets.retrain(start, model, data, training=training)
        weights = dict(again.model.named_parameters())
        assert all(not weights[name][~mask].any() for name, mask in ticket.masks.items())
        assert again.test_accuracy > 0.7


def test_fine_tuning_starts_from_the_pruned_weights() -> None:
    model = network()
    options = {"rewinding": "fine-tuning", "samples": 300}
    training = Training(epochs=2, batch_size=60, lr=0.1)
    ticket = nets.find_ticket(
        model, load("digits"), "layerwise", density=0.2, penalty=Log(0.1), training=training, options=options
    )
    assert ticket.metadata["fine_tune"] == 0.1
    assert ticket.kept == round(0.2 * ticket.total)
    assert not torch.equal(ticket.weights["1.weight"], model.state_dict()["1.weight"])


def test_the_report_shows_the_certificates_of_the_layers(tmp_path: Path) -> None:
    grid = {"epochs": 1, "method": ["layerwise"], "density": [0.2], "granularity": "channel"}
    for job in jobs(plays_of(grid)):
        execute(job, Keeping(tmp_path, keep_network=False))
    page = write_report(tmp_path, tmp_path / "report.html").read_text()
    section = page.partition("<h2>Certificates of layers</h2>")[2].partition("</section>")[0]
    assert section.count("<svg") >= 1
    assert '<th scope="col">bound</th>' in section
    assert "1.weight" in section


def test_certificates_of_layers_stand_in_the_order_of_the_stored_densities() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(OrderedDict(b=nn.Linear(8, 12), r=nn.ReLU(), a=nn.Linear(12, 4)))
    ticket = nets.prune(model, torch.randn(100, 8), 0.3)
    assert ticket.certificate is not None
    own = {layer.name: layer.error for layer in ticket.certificate.layers}
    stored = list(json.loads(json_line(ticket.layer_densities)))
    assert _layers(ticket, list(ticket.masks))["layer_error"] == [own[name] for name in stored]


def test_densities_of_layers_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(ValueError, match="layer-wise pruning takes one density, not one a layer"):
        nets.find_ticket(network(), load("digits"), "layerwise", density={"*": 0.2}, epochs=1)

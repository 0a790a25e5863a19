"""The benchmark of inference: its networks, its files, its table."""

import importlib.util
from dataclasses import asdict
from pathlib import Path

import pytest

import nets

PATH = Path(__file__).parents[2] / "benchmarks" / "inference.py"


@pytest.fixture(scope="module")
def inference():
    spec = importlib.util.spec_from_file_location("inference_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_half_of_the_channels_can_be_removed(inference):
    model = inference.conv(4)
    ticket = inference.halved(model, (3, 32, 32))
    small = nets.shrink(model, ticket)
    assert [small[i].out_channels for i in (0, 3, 7, 10)] == [2, 2, 4, 4]
    assert [small[i].out_features for i in (15, 17)] == [128, 10]


def test_a_small_case_goes_into_the_table(inference):
    name, make, _ = inference.cases(smoke=True)[0]
    model, ticket = make()
    sizes = inference.files(model, ticket)
    assert sizes["packed, fp16"] < sizes["packed"] < sizes["torch"]
    told = nets.export.measure(model, ticket, 1, routes=("shrunk", "chain"), rounds=2, seconds=0.001)
    row = {"case": name, "threads": 1, "batch": 1, "best": told.best}
    results = {"speed": [{**row, "timings": [asdict(t) for t in told.timings]}], "files": {name: sizes}}
    text = inference.table({**results, "memory": {"search": {"peak": 3.0, "held": 1.0}}})
    assert f"| {name} | 1 | 1 |" in text
    assert f"{sizes['packed']:,}" in text

"""Tickets in fewer bits: bytes of the file and test accuracy of one trained ticket in fp32, fp16 and 8 bits.

    python benchmarks/quantised.py run [CASE ...]   # appends rows; goes on where it was stopped
    python benchmarks/quantised.py table            # prints the stored rows as markdown

A concave ticket is found and retrained; the trained network is written by `nets.export.save` in each form,
read again by `nets.export.load`, and tested. "int8" has 8-bit weights under the mask, a scale an output
channel; "dynamic" is the fp32 file read again and handed to torch's dynamic quantisation, whose size is that
of the state that torch saves (dense, 8 bits). Rows lie in figures/results/quantised.jsonl; ``python -m
figures.tables`` writes the table into docs/export.md.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nets
from benchmarks import seed_rows
from nets.configuration import Training
from nets.data import Dataset, load
from nets.models import build

RESULTS = seed_rows.RESULTS / "quantised.jsonl"

#: Data, model, width, epochs.
CASES = {
    "digits, LeNet-300-100": ("digits", "lenet-300-100", 1.0, 20),
    "digits, conv-2": ("digits", "conv-2", 0.5, 10),
    "MNIST, LeNet-300-100": ("mnist", "lenet-300-100", 1.0, 5),
}
DENSITIES = (0.1, 0.02)
SEEDS = 3
FORMS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp16": {"dtype": torch.float16},
    "bf16": {"dtype": torch.bfloat16},
    "int8": {"form": "int8"},
}


def measured(key: seed_rows.Row) -> dict[str, Any]:
    """Return bytes and accuracy of every form of one trained ticket."""
    name, model, width, epochs = CASES[key["case"]]
    data = load(name)
    assert isinstance(data, Dataset)
    training = Training(epochs=epochs, batch_size=64, lr=0.05)
    made = build(model, data, seed=key["seed"], width=width)
    shared = {"seed": key["seed"], "training": training}
    ticket = nets.find_ticket(made, data, density=key["density"], **shared)
    trained = nets.retrain(ticket, made, data, **shared).model
    row: dict[str, Any] = {"dense bytes": sum(t.nbytes for t in trained.state_dict().values())}
    with TemporaryDirectory() as folder:
        for form, how in FORMS.items():
            path = nets.export.save(trained, ticket, Path(folder) / form, **how)
            row[form] = {
                "bytes": path.stat().st_size,
                "accuracy": nets.evaluate(nets.export.load(path, made), data).accuracy,
            }
        again = nets.export.load(Path(folder) / "fp32", made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(again.eval(), {nn.Linear}, dtype=torch.qint8)
        file = io.BytesIO()
        torch.save(dynamic.state_dict(), file)
    row["dynamic"] = {"bytes": len(file.getvalue()), "accuracy": nets.evaluate(dynamic, data).accuracy}
    return row


def run(names: list[str], seeds: int = SEEDS, path: Path = RESULTS) -> None:
    """Compute the rows that are missing."""
    order = product(range(seeds), names, DENSITIES)
    keys = [{"case": name, "density": density, "seed": seed} for seed, name, density in order]
    seed_rows.run(path, keys, measured)


def table(path: Path = RESULTS) -> str:
    """Return bytes (mean) and accuracy beside that of fp32, by seed."""
    forms = (*FORMS, "dynamic")
    lines = ["| network | kept | seeds | dense, bytes | " + " | ".join(f"{f}, bytes" for f in forms) + " |"]
    lines += ["| --- " * (4 + len(forms)) + "|"]
    second = [
        "| network | kept | fp32, accuracy in % | " + " | ".join(f"{f} - fp32" for f in forms[1:]) + " |"
    ]
    second += ["| --- " * (2 + len(forms)) + "|"]
    rows = seed_rows.stored(path)
    for case, density in dict.fromkeys((r["case"], r["density"]) for r in rows):
        own = [r for r in rows if (r["case"], r["density"]) == (case, density)]
        sizes = [f"{sum(r[f]['bytes'] for r in own) / len(own):,.0f}" for f in forms]
        first = f"| {case} | {100 * density:g}% | "
        lines.append(f"{first}{len(own)} | {own[0]['dense bytes']:,} | " + " | ".join(sizes) + " |")
        cells = [seed_rows.cell([r["fp32"]["accuracy"] for r in own], 100)]
        for form in forms[1:]:
            differences = [r[form]["accuracy"] - r["fp32"]["accuracy"] for r in own]
            cells.append(seed_rows.cell(differences, 100, sign=True))
        second.append(first + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *second])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("cases", nargs="*", default=[], help="; ".join(CASES))
    arguments = parser.parse_args()
    if odd := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"unknown case {odd[0]!r}; there are {'; '.join(CASES)}")
    if arguments.what == "run":
        run(arguments.cases or list(CASES))
    print(table())


if __name__ == "__main__":
    main()

"""What test_distributed.py starts twice: trains in two processes and writes what each one got."""

import json
import os
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from nets.configuration import Play, Training
from nets.data import Dataset
from nets.lottery import find_tickets
from nets.masking.parametrization import attach
from nets.methods import method_names
from nets.runs.driver import run
from nets.training import distributed
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop


def blobs():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    x = torch.randn(300, 1, 6, 6, generator=generator) + y.view(-1, 1, 1, 1)
    parts = {
        f"{name}_{part}": value[rows]
        for part, rows in (
            ("train", slice(0, 200)),
            ("validation", slice(200, 251)),
            ("test", slice(251, 300)),
        )
        for name, value in (("x", x), ("y", y))
    }
    return Dataset("blobs", **parts, n_classes=3)


def conv_net(dropout=0.0):
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(144, 16),
        nn.BatchNorm1d(16, momentum=None),
        nn.ReLU(),
        nn.Linear(16, 3),
    )


def digest(tensors):
    return [float(t.double().sum()) for t in tensors] + [float(t.double().square().sum()) for t in tensors]


def trained(**changes):
    """Train with batch normalisation and an odd batch, so that the shares differ in size."""
    model = conv_net()
    training = Training(epochs=3, batch_size=25, lr=0.05, weight_decay=1e-3, **changes)
    loop = Loop(FlatModel(model), blobs(), training, seed=1).run()
    state = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    return {"state": state, "metrics": loop.metrics}


def wrapped():
    """The user's own way: a masked network in DistributedDataParallel, trained by a loop of their own."""
    model = conv_net()
    mask = torch.rand(model[5].weight.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    attach(model, {"5.weight": mask})
    parallel = nn.parallel.DistributedDataParallel(model) if distributed.size() > 1 else model
    optimiser = torch.optim.SGD(parallel.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
    data = blobs()
    model.eval()  # DistributedDataParallel leaves the statistics of batch normalisation to each process
    for batch in range(8):
        rows = slice(20 * batch, 20 * batch + 20)
        x, y = distributed.share(data.x_train[rows]), distributed.share(data.y_train[rows])
        optimiser.zero_grad()
        nn.functional.cross_entropy(parallel(x), y).backward()
        optimiser.step()
    weight = model[5].weight.detach()
    assert not weight[~mask].any()
    return {"weight": weight.tolist()}


#: They prune a trained network as "wanda" does, by kernels that take seconds to compile.
KERNELS = ("alps", "layerwise", "obc", "sparsegpt")


def searched():
    """Every way to search: what matters is that all processes find the same."""
    found = {}
    for name in (name for name in method_names() if name not in KERNELS):
        (ticket,) = find_tickets(
            conv_net(), blobs(), name, densities=(0.3,), training=Training(epochs=1, batch_size=50)
        )
        lam = ticket.trace.get("lam", [])
        found[name] = {"masks": {n: m.tolist() for n, m in ticket.masks.items()}, "lam": list(lam)}
    return found


def main():
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    with distributed.processes("cpu"):
        told = {
            "size": distributed.size(),
            "trained": trained(),
            "accumulated": trained(accumulate=2),
            "wrapped": wrapped(),
            "searched": searched(),
        }
        result = run(Play(epochs=2, density=0.1), out / f"runs-of-{distributed.size()}")
        told["run"] = {"accuracy": result.test_accuracy, "kept": result.kept, "metrics": list(result.metrics)}
        again = run(Play(epochs=2, density=0.1), out / f"runs-of-{distributed.size()}")
        assert again == result
        try:
            distributed.on_first(lambda: 1 // 0)
        except ZeroDivisionError as error:
            told["error"] = str(error)
    (out / f"{told['size']}-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()

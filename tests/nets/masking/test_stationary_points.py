"""Theory beside practice: over frozen weights of a linear model the mask reaches the stationary point."""

import numpy as np
import pytest
import torch
from torch import nn

from concave_sparsity import L1, MCP, Log
from convex_analysis import MaskProblem, majorize_minimize
from nets.configuration import Training
from nets.data import load
from nets.methods.concave import OPTIONS, relaxed_mask
from nets.tasks import Task
from nets.training.flat_model import FlatModel
from nets.training.loop import Loop

D, N, LAM = 12, 120, 0.05
DEFAULTS = {option.name: option.default for option in OPTIONS}


def half_squares(output, y):
    """Half the mean squared error of the first output, as in the linear mask problem."""
    return 0.5 * (output[:, 0] - y).square().mean()


def toy():
    """Return data of whole labels, the weights, and the same problem for the convex solver."""
    rng = np.random.default_rng(0)
    theta = rng.choice([-1.0, 1.0], D)
    x = rng.standard_normal((N, D))
    signal = x @ (theta * (np.arange(D) < 4))
    y = np.clip(np.round(signal + 3.0), 0, 6)
    inputs = torch.from_numpy(np.concatenate([x, np.zeros((4, D))])).float()
    labels = torch.from_numpy(np.concatenate([y, np.zeros(4)])).long()
    data = load((inputs, labels), task=Task(half_squares, "rmse"), validation=2, test=2)
    model = nn.Linear(D, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(theta))
    return data, model, theta


@pytest.mark.parametrize("penalty", [L1(), Log(1.0), MCP(3.0)], ids=repr)
@pytest.mark.parametrize("update", ["gradient", "proximal"])
def test_the_mask_over_frozen_weights_reaches_the_stationary_point(update, penalty):
    data, model, theta = toy()
    x, y = data.normalise(data.x_train).double().numpy(), data.y_train.double().numpy()
    problem = MaskProblem(x, y, theta, penalty=penalty, lam=LAM)
    found = majorize_minimize(problem, start=np.ones(D))
    options = {"update": update, "lam": LAM, "trained": "mask", "optimiser": "sgd", "step": 0.3, "start": 1.0}
    hook = relaxed_mask(DEFAULTS | options, penalty, 0.1)
    training = Training(epochs=400, batch_size=len(y), lr=0.1, schedule="constant")
    Loop(FlatModel(model), data, training, seed=0, hooks=[hook], part=None).run()
    mask = hook.mask.double().numpy()
    assert 0 < (mask < 1e-4).sum() < D
    np.testing.assert_allclose(mask, found.x, atol=2e-3)
    assert problem.objective(np.clip(mask, 0, 1)) == pytest.approx(found.objective, abs=1e-5)

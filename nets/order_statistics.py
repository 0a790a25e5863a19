"""The k-th smallest of many values, without waiting for the device that holds them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """Return the k-th smallest value of a flat tensor, k from 1, shape ().

    Parameters
    ----------
    values : Tensor
        Shape (n,), floating point.
    k : int
        1 .. n.
    """
    if values.device.type == "cpu":
        # numpy partitions ten times faster than torch
        return torch.from_numpy(np.partition(values.numpy(), k - 1)[k - 1 : k]).reshape(())
    # On CUDA kthvalue gives a flat tensor to one block of the GPU; a sort uses all of them.
    return values.sort().values[k - 1]

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
        wide = values.float() if values.dtype == torch.bfloat16 else values  # unknown to numpy
        kth = torch.from_numpy(np.partition(wide.numpy(), k - 1)[k - 1 : k])
        return kth.reshape(()).to(values.dtype)
    # On CUDA kthvalue gives a flat tensor to one block of the GPU; a sort uses all of them.
    return values.sort().values[k - 1]

"""Data sets as tensors: loading, splitting, normalisation, augmentation."""

from nets.data.dataset import Dataset
from nets.data.loading import load

__all__ = ["Dataset", "load"]

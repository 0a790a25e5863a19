"""Data sets as tensors: loading, splitting, normalisation, augmentation."""

from nets.data.augmentation import Augmentation
from nets.data.dataset import Dataset
from nets.data.folder import data_folder, inventory
from nets.data.loading import load
from nets.data.registry import SOURCES

__all__ = ["SOURCES", "Augmentation", "Dataset", "data_folder", "inventory", "load"]

"""Data sets as tensors or as streams of batches: loading, splitting, normalisation, augmentation."""

from nets.data.assembly import load
from nets.data.augmentation import Augmentation
from nets.data.dataset import Dataset
from nets.data.folder import SOURCES, data_folder, inventory
from nets.data.stream import AnyData, Stream

__all__ = ["SOURCES", "AnyData", "Augmentation", "Dataset", "Stream", "data_folder", "inventory", "load"]

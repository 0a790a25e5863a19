"""The parts of a relaxed mask that is trained by steps of its own: relaxation, weights, update, law of lam.

Each part is small, works in place on flat vectors of shape (n,) and knows nothing of the others;
`nets.concave_masks.trained_mask.TrainedMask` puts them together.
"""

from nets.concave_masks.laws import DualAscent, Given, Law, Quantile
from nets.concave_masks.relaxations import Clipped, Relaxation, Sigmoid
from nets.concave_masks.slopes import Slopes
from nets.concave_masks.trained_mask import TrainedMask
from nets.concave_masks.updates import GradientUpdate, ProximalUpdate, Update

__all__ = [
    "Clipped",
    "DualAscent",
    "Given",
    "GradientUpdate",
    "Law",
    "ProximalUpdate",
    "Quantile",
    "Relaxation",
    "Sigmoid",
    "Slopes",
    "TrainedMask",
    "Update",
]

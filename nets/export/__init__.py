"""What a ticket is worth elsewhere: small files, other tools' formats, faster inference.

Heavy imports (numba, onnx, onnxruntime) happen when a function that needs them is called.
"""

from nets.export.exchange import onnx, program, torchscript
from nets.export.files import FORMS, load, save
from nets.export.speed import ROUTES, Measurement, Timing, measure, measurements

__all__ = [
    "FORMS",
    "ROUTES",
    "Measurement",
    "Timing",
    "load",
    "measure",
    "measurements",
    "onnx",
    "program",
    "save",
    "torchscript",
]

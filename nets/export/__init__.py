"""What a ticket is worth elsewhere: small files, other tools' formats, faster inference.

Heavy imports (numba, onnx, onnxruntime) happen when a function that needs them is called.
"""

from nets.export.files import FORMS, load, save

__all__ = ["FORMS", "load", "save"]

"""Methods of finding tickets: each ``NAME = Method(name=...)`` in a file of this folder is one."""

from nets.methods.method import Method, Option, method, method_names, methods
from nets.registry import method_text

__all__ = ["Method", "Option", "method", "method_names", "method_text", "methods"]

"""Methods of finding tickets; every file ``nets/methods/<name>.py`` that defines `METHOD` is one."""

from nets.methods.method import Method, Option, method, method_names, method_text, methods

__all__ = ["Method", "Option", "method", "method_names", "method_text", "methods"]

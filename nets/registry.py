"""What is known by name: built in, registered by a decorator, brought by a package, or by import path.

    from nets import registry

    @registry.tasks.register("quantile")
    def quantile(level=0.5): ...

makes ``--task "quantile(0.9)"`` work wherever the module is imported; a package brings the same by an entry
point of the group "concave_sparsity.tasks". There is one registry for each of methods, models, data sets,
penalties, tasks, granularities, optimisers and schedules. This module imports no torch.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from concave_sparsity.penalty_text import penalties
from concave_sparsity.registry import Registry, is_import_path, key

__all__ = [
    "data_sets",
    "granularities",
    "methods",
    "models",
    "needs",
    "optimisers",
    "penalties",
    "revision",
    "schedules",
    "tasks",
]


def _lazily(module: str, name: str) -> Callable[[], Mapping[str, Any]]:
    """Return a function that imports a mapping when it is called."""
    return lambda: getattr(importlib.import_module(module), name)


#: How a file of ``nets/methods`` defines a method.
_METHOD = re.compile(r'^(\w+) = (?:\w+_m|M)ethod\(\s*(?:name=)?"([\w-]+)",(.*?)^\)$', re.M | re.S)


@cache
def _methods() -> dict[str, tuple[str, int, tuple[str, ...]]]:
    """Return where each built-in method lies, its revision and needs, by name; read as text, not imported."""
    found = {}
    for file in Path(__file__).with_name("methods").glob("*.py"):
        for constant, name, settings in _METHOD.findall(file.read_text(encoding="utf-8")):
            revised = re.search(r"^    revision=(\d+),$", settings, re.M)
            needed = re.search(r"^    needs=\((.*)\),$", settings, re.M)
            found[key(name)] = (
                f"nets.methods.{file.stem}:{constant}",
                int(revised[1]) if revised else 0,
                tuple(re.findall(r'"(.+?)"', needed[1])) if needed else (),
            )
    return dict(sorted(found.items()))


methods = Registry(
    "method",
    "methods",
    lambda: {name: path for name, (path, _, _) in _methods().items()},
    "a nets.methods.Method or 'package.module:METHOD'",
)
models = Registry(
    "model", "models", _lazily("nets.models.factory", "ARCHITECTURES"), "'package.module:factory'"
)
data_sets = Registry(
    "data set",
    "data sets",
    _lazily("nets.data.folder", "SOURCES"),
    "the path of an image folder or 'package.module:factory'",
)
tasks = Registry("task", "tasks", _lazily("nets.tasks", "TASKS"), "a nets.Task or 'package.module:TASK'")
granularities = Registry(
    "granularity",
    "granularities",
    lambda: {n: f"nets.granularity.blocks:{n}" for n in ("kernel", "square")},
    "'package.module:function'",
)
optimisers = Registry(
    "optimiser", "optimisers", lambda: {n: f"nets.training.optimisers:{n}" for n in ("sgd", "adam", "adamw")}
)
schedules = Registry(
    "schedule",
    "schedules",
    lambda: {
        n: f"nets.training.optimisers:{n.replace('-', '_')}"
        for n in ("constant", "cosine", "linear", "one-cycle", "step")
    },
)


def method_text(chosen: Any) -> str:
    """Return the name of a method (or name) as runs hold it: the registry's, or "package.module:METHOD".

    A method that no module holds is made known by its own name, in this process.
    """
    if isinstance(chosen, str):
        return chosen if is_import_path(chosen) else key(chosen)
    own: str = chosen.name
    if own in methods and methods.find(own) is chosen:
        return own
    place = getattr(chosen.find, "__module__", "")
    for name, value in vars(sys.modules.get(place, sys)).items():
        if value is chosen and place != "__main__":
            return f"{place}:{name}"
    methods.register(own, chosen)
    return own


def revision(method: str) -> int:
    """Return the revision of a method known by name, 0 of one by import path: nothing is imported."""
    if key(method) in _methods():
        return _methods()[key(method)][1]
    return int(getattr(methods.entry(method), "revision", 0))


def needs(method: str) -> tuple[str, ...]:
    """Return what a method known by name needs, nothing of one by import path: nothing is imported."""
    if key(method) in _methods():
        return _methods()[key(method)][2]
    found: tuple[str, ...] = getattr(methods.entry(method), "needs", ())
    return found

"""The floors of the house: packages import downwards only, no two files import each other, types included."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: What a package may import of the others.
BELOW = {
    "concave_sparsity": (),
    "convex_analysis": ("concave_sparsity",),
    "nets": ("concave_sparsity", "convex_analysis"),
}


def imports(package: str) -> dict[str, set[str]]:
    """Return what every module of a package names, within functions and for types too."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / package).rglob("*.py")
    }
    found = {}
    for name, path in files.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for one in node.names:
                    inner = f"{node.module}.{one.name}"
                    found[name].add(inner if inner in files else node.module)
            elif isinstance(node, ast.Import):
                found[name].update(one.name for one in node.names)
        found[name].discard(name)
    return found


@pytest.mark.parametrize("package", BELOW)
def test_floors(package):
    graph = imports(package)
    above = BELOW.keys() - {package, *BELOW[package]}
    for module, named in graph.items():
        assert not {name for name in named if name.split(".")[0] in above}, module
    assert len(graph) > 10
    TopologicalSorter({m: named & graph.keys() for m, named in graph.items()}).prepare()  # names a circle

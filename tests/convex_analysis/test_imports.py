"""No file of the package imports one that imports it, types included."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports(package: str) -> dict[str, set[str]]:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / package).rglob("*.py")
    }
    found = {}
    for name, path in files.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for one in node.names:
                    inner = f"{node.module}.{one.name}"
                    found[name].add(inner if inner in files else node.module)
            elif isinstance(node, ast.Import):
                found[name].update(one.name for one in node.names)
        found[name] = (found[name] & files.keys()) - {name}
    return found


def test_no_circle_of_imports() -> None:
    graph = imports("convex_analysis")
    graph.pop("convex_analysis.pictures")  # draws what the others hold, which load it where they draw
    assert len(graph) > 50
    TopologicalSorter(graph).prepare()  # a CycleError names the circle

"""Draw the figures from stored results, or compute the results anew.

python -m figures [NAME ...]                 draw these (all without a name), in under a minute
python -m figures --recompute [NAME ...]     compute their results first (minutes each, one core)
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from figures import stored, style

FIGURES = [
    "penalties",
    "envelope",
    "error_bounds",
    "phase_transition",
    "bound_tightness",
    "descent",
    "branch_and_bound_reach",
    "effective_penalty",
    "mnist_all_methods",
    "front",
    "lam_steering",
    "mechanism",
    "controls",
    "log_against_l1",
    "convex_scale",
    "choice_of_lam",
    "layerwise",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--recompute", action="store_true", help="compute the results first")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(FIGURES))
    if unknown:
        parser.error(f"no figure is called {', '.join(unknown)}: choose from {', '.join(FIGURES)}")
    for name in arguments.names or FIGURES:
        module = import_module(f"figures.{name}")
        stores = hasattr(module, "compute")
        if stores and arguments.recompute:
            begun = time.perf_counter()
            try:
                data = module.compute()
            except TimeoutError as pause:
                raise SystemExit(f"{name}: {pause}") from None
            path = stored.write(name, data, time.perf_counter() - begun)
            print(f"{name}: results in figures/{path.relative_to(path.parents[1])}", flush=True)
        begun = time.perf_counter()
        figure = module.draw(stored.read(name)) if stores else module.draw()
        paths = style.save(figure, name)
        shown = " and ".join(str(path.relative_to(path.parents[2])) for path in paths)
        print(f"{name}: drawn in {time.perf_counter() - begun:.1f} s, {shown}", flush=True)


if __name__ == "__main__":
    main()

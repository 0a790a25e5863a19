"""The command `convex-analysis`: solve and certify concave-penalised problems from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = {
    "demo": "Recover a mask by l1 and by a concave penalty, with bounds, errors and the certified optimum.",
    "solve": "Solve a concave-penalised problem and report the solution with its certificates.",
    "path": "Solve along a grid of lam, report each solution, and mark the lam that would be chosen.",
    "certify": "Solve for a mask in [0, 1] and report which theorems hold on the data, with their figures.",
}


def make_app() -> App:
    """Return the command-line application; a command's file is imported when it is called."""
    from importlib.metadata import version

    from cyclopts import App

    app = App(
        name="convex-analysis",
        help="Solve sparse models with concave penalties, and certify what is found.",
        version=lambda: version("concave-sparsity"),
        suppress_keyboard_interrupt=False,  # said by `main`
        config=_refuse_fractions,
    )
    for name, summary in COMMANDS.items():
        app.command(f"convex_analysis.commands.{name}:{name}", name=name, help=summary)
    return app


def _refuse_fractions(*given: Any) -> None:
    from concave_sparsity.stages import refuse_fractions  # brings numpy, which help does without

    refuse_fractions(*given)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Input that is not right ends with one sentence on standard error and status 1; Ctrl-C with 130.
    """
    try:
        status = make_app()(list(arguments) if arguments is not None else None, result_action="return_value")
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        from concave_sparsity.stages import sentence  # brings numpy, which help does without

        print(f"convex-analysis: {sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("convex-analysis: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(status or 0)


if __name__ == "__main__":
    main()

"""The command `lottery`: every file ``nets/commands/<name>.py`` is a command, its first line the help."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cyclopts import App, Parameter

from concave_sparsity.stages import sentence

COMMANDS = Path(__file__).parent / "commands"


def make_app() -> App:
    """Return the command-line application with all commands."""
    app = App(
        name="lottery",
        help="Find lottery tickets with concave regularizers, and compare them with their rivals.",
        version=lambda: version("concave-sparsity"),
        suppress_keyboard_interrupt=False,  # said by `main`
        default_parameter=Parameter(negative_iterable=()),
    )
    for module in sorted(m.name for m in pkgutil.iter_modules([str(COMMANDS)])):
        if not module.startswith("_"):
            name = module.replace("_", "-")
            app.command(f"nets.commands.{module}:{module}", name=name, help=_summary(module))
    return app


def _summary(module: str) -> str:
    """Return the first line of a command's file, without importing it."""
    text = (COMMANDS / f"{module}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Input that is not right ends with one sentence on standard error and status 1; Ctrl-C with 130.
    """
    try:
        make_app()(list(arguments) if arguments is not None else None)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(f"lottery: {sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("lottery: stopped", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()

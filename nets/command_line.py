"""The command `lottery`: every public function in ``nets/commands`` is a command, its first line the help.

Nothing is imported here: Ctrl-C is heard from the first moment.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = Path(__file__).parent / "commands"


def make_app() -> App:
    """Return the command-line application with all commands."""
    from importlib.metadata import version

    from cyclopts import App, Parameter

    app = App(
        name="lottery",
        help="Find lottery tickets with concave regularizers, and compare them with their rivals.",
        version=lambda: version("concave-sparsity"),
        suppress_keyboard_interrupt=False,  # said by `main`
        config=_refuse_fractions,
        default_parameter=Parameter(negative_iterable=()),
    )
    for function, module, text in sorted(_functions()):
        app.command(f"nets.commands.{module}:{function}", name=function.replace("_", "-"), help=text)
    return app


def _functions() -> Iterator[tuple[str, str, str]]:
    """Yield every command's function, its file and the first line of its help; nothing is imported."""
    for file in COMMANDS.glob("[!_]*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node.name, file.stem, (ast.get_docstring(node) or "").split("\n")[0]


def _refuse_fractions(*given: Any) -> None:
    from concave_sparsity.stages import refuse_fractions  # brings numpy, which help does without

    refuse_fractions(*given)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Input that is not right ends with one sentence on standard error and status 1; Ctrl-C with 130.
    """
    try:
        make_app()(list(arguments) if arguments is not None else None)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        from concave_sparsity.stages import sentence  # brings numpy, which help does without

        print(f"lottery: {sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("lottery: stopped", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()

"""Lottery tickets in deep networks, found by concave regularizers and by their rivals, under one protocol.

Names are loaded when first used, so that ``import nets`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nets.analysis.comparison import compare
    from nets.analysis.connectivity import connectivity
    from nets.configuration import Play, Training
    from nets.estimators import TicketClassifier, TicketRegressor
    from nets.export.compact import shrink
    from nets.layerwise import prune
    from nets.lottery import find_ticket, find_tickets, play, retrain
    from nets.masking.masking import Masking
    from nets.masking.parametrization import attach, make_permanent
    from nets.metric import Metric
    from nets.result import Result
    from nets.runs.driver import run
    from nets.runs.results import query, results
    from nets.runs.sweep import sweep
    from nets.tasks import Task
    from nets.tickets import Ticket
    from nets.training.evaluation import evaluate
    from nets.training.loop import Hook

__all__ = [
    "Hook",
    "Masking",
    "Metric",
    "Play",
    "Result",
    "Task",
    "Ticket",
    "TicketClassifier",
    "TicketRegressor",
    "Training",
    "attach",
    "compare",
    "connectivity",
    "evaluate",
    "find_ticket",
    "find_tickets",
    "make_permanent",
    "play",
    "prune",
    "query",
    "results",
    "retrain",
    "run",
    "shrink",
    "sweep",
]

_WHERE = {
    "Hook": "training.loop",
    "Masking": "masking.masking",
    "Metric": "metric",
    "Play": "configuration",
    "Result": "result",
    "Task": "tasks",
    "Ticket": "tickets",
    "TicketClassifier": "estimators",
    "TicketRegressor": "estimators",
    "Training": "configuration",
    "attach": "masking.parametrization",
    "compare": "analysis.comparison",
    "connectivity": "analysis.connectivity",
    "evaluate": "training.evaluation",
    "find_ticket": "lottery",
    "find_tickets": "lottery",
    "make_permanent": "masking.parametrization",
    "play": "lottery",
    "prune": "layerwise",
    "query": "runs.results",
    "results": "runs.results",
    "retrain": "lottery",
    "run": "runs.driver",
    "shrink": "export.compact",
    "sweep": "runs.sweep",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used."""
    if name in _WHERE:
        value = getattr(importlib.import_module(f"nets.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in ("data", "export", "models", "methods"):
        return importlib.import_module(f"nets.{name}")
    raise AttributeError(f"module 'nets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "data", "export", "methods", "models"})

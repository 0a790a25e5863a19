"""What networks are trained and judged by: tasks by name, their losses and metrics, and one's own."""

from nets.tasks.losses import CrossEntropy, MultiLabel, NextToken, Regression
from nets.tasks.metrics import METRICS, Mean
from nets.tasks.task import CLASSIFICATION, TASKS, Task, named_task, regression

__all__ = [
    "CLASSIFICATION",
    "METRICS",
    "TASKS",
    "CrossEntropy",
    "Mean",
    "MultiLabel",
    "NextToken",
    "Regression",
    "Task",
    "named_task",
    "regression",
]

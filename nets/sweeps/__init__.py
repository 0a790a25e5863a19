"""Many runs from one file: planned first, shared out over workers, stored as they end."""

from nets.sweeps.driver import Plan, SweepSummary, make_plan, run_plan, sweep
from nets.sweeps.sweep_file import plays_of, read_sweep

__all__ = ["Plan", "SweepSummary", "make_plan", "plays_of", "read_sweep", "run_plan", "sweep"]

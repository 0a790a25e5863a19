"""Where tasks are run: in this process, in worker processes of this machine, or on a cluster."""

from nets.executors.pool import Ended, Pool, run_all, start
from nets.executors.processes import available_cores

__all__ = ["Ended", "Pool", "available_cores", "run_all", "start"]

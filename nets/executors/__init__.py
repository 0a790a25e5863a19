"""Where tasks are run: in this process, in worker processes of this machine, or on a cluster."""

from nets.executors.pool import Ended, Pool, run_all
from nets.executors.processes import available_cores
from nets.executors.starting import start

__all__ = ["Ended", "Pool", "available_cores", "run_all", "start"]

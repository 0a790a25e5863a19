"""Run a program in two processes that find each other as under torchrun: two_processes.py PROGRAM ...

One start and one import of torch serve both: they are forked. `test_run.py` plays under torchrun itself.
"""

import gc
import os
import runpy
import signal
import socket
import sys
import traceback

import torch._dynamo  # noqa: F401  # which DistributedDataParallel loads

import nets

nets.find_ticket, nets.Masking  # noqa: B018  # are loaded here once


def started(rank, port):
    """Fork a process that runs the program; return its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torchrun = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in torchrun.items()}, MASTER_ADDR="127.0.0.1")
            sys.argv = sys.argv[1:]
            runpy.run_path(sys.argv[0], run_name="__main__")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child


def main():
    gc.freeze()  # pages that the collector does not write to stay shared
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = {started(rank, port) for rank in range(2)}
    failed = False
    while children:
        child, status = os.wait()
        children.discard(child)
        if status and not failed:
            failed = True
            for other in children:  # it would wait for the one that failed
                os.kill(other, signal.SIGKILL)
    os._exit(failed)  # taking down all that is imported takes a second


if __name__ == "__main__":
    main()

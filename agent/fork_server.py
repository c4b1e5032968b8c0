"""The server that job processes are forked from, made by a fork of the worker.

The standard library starts it as a new Python, which imports everything once more: another 100 MB. A fork
shares what the worker has imported, for as long as neither writes to it. So does its helper that sweeps up
what processes leave behind, which takes 3 MB for 7.
"""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any


def start() -> None:
    """Start it, once; call it from a process without threads or event loop that has imported what jobs need.

    Should it die, the standard library starts another in its own way.
    """
    if not sys.platform.startswith("linux"):
        return  # jobs are not forked there
    gc.collect()
    gc.freeze()  # collecting garbage writes to every object that it looks at
    new_python = util.spawnv_passfds
    try:
        util.spawnv_passfds = _fork
        resource_tracker.ensure_running()
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = new_python


def _fork(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:  # noqa: ARG001
    """Run the command that a new Python would be given in a fork of this one; the fork's process id."""
    if (pid := os.fork()) > 0:
        return pid
    try:
        # As a new Python has no others; with the worker's end of its own pipe it would outlive the worker.
        open_here = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
        for descriptor in open_here - {0, 1, 2, *passfds}:
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)
        logging.getLogger().handlers.clear()  # a job hands its lines to the worker, which writes them
        exec(args[-1], {})  # noqa: S102  (the standard library's own command)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(1)

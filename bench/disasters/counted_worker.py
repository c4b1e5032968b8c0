"""`python -m agent start` that tells on SIGUSR1 how many tasks it has. The product has no such hook.

As a program: `python -m bench.disasters.counted_worker`.
"""

import asyncio
import json
import runpy
import signal
import sys
import threading
from datetime import UTC, datetime

EVENT = "tasks_counted"


def count_tasks(*_: object) -> None:
    """One log line, as the worker's own are."""
    running = asyncio.all_tasks() if asyncio._get_running_loop() else set()  # noqa: SLF001
    names = sorted({task.get_coro().__qualname__ for task in running})  # type: ignore[union-attr]
    line = {
        "timestamp": datetime.now(UTC).isoformat(),
        "event": EVENT,
        "tasks": len(running),
        "threads": threading.active_count(),
        "names": names,
    }
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, count_tasks)
    sys.argv = ["agent", "start"]
    runpy.run_module("agent", run_name="__main__", alter_sys=True)

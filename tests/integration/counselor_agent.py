"""An AI counselor, as a platform runs one beside the recorder: another worker, with `agent_name` or without.

As a program: `python -m tests.integration.counselor_agent [NAME]`, with LIVEKIT_* set.
"""

import asyncio
import logging
import sys

from livekit.agents import AgentServer, JobContext, JobExecutorType


async def counsel(ctx: JobContext) -> None:
    await ctx.connect()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(name: str = "") -> None:
    # LiveKit sends nothing to a worker on a machine that is busy with tests, as it reports its CPU.
    server = AgentServer(
        job_executor_type=JobExecutorType.THREAD, num_idle_processes=1, port=0, load_fnc=lambda _: 0.0
    )
    logging.basicConfig(level=logging.INFO)
    server.rtc_session(counsel, agent_name=name)
    server.on("worker_registered", lambda *_: _say("registered"))
    asyncio.run(server.run(devmode=True))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Two recorders in one room, both alive: LiveKit was asked twice, or a slow one was taken for dead."""

import asyncio
from dataclasses import replace

from livekit import api

from bench.disasters.judging import judged
from bench.disasters.people import conversing
from bench.disasters.rig import Rig
from bench.disasters.rows import Row
from bench.disasters.strikes import listened_to
from bench.stack import new_room, until

TALK_SECONDS = 4.0


async def two_recorders(rig: Rig) -> list[Row]:
    """Both hear what is said, and the room ends before the second one gives up waiting for its turn."""
    named = {**rig.settings, "RECORDER_DISPATCH": "named", "RECORDER_AGENT_NAME": "second"}
    await rig.worker()
    await replace(rig, settings=named).worker()
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with rig.livekit() as livekit:
            await livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(agent_name="second", room=talk.room)
            )
        async with talk.talking():
            await until(lambda: len(rig.log("recording_began", room=talk.room)) > 1)
            await asyncio.sleep(TALK_SECONDS)
    await rig.close_rooms([talk.room])
    return await judged(rig, "two recorders in one room", [talk.truth])

"""What the recorder is measured against: one AgentSession per participant, LiveKit's multi-user transcriber.

The framework's defaults throughout, with three exceptions for a fair comparison: as many idle processes as
the recorder keeps, no refusal of rooms when the machine is busy, and no words sent back into the room.
As a program: `python -m bench.session_per_participant`, with LIVEKIT_* and OPENAI_* set.
"""

import asyncio
import logging
import signal
from importlib import import_module

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    AutoSubscribe,
    JobContext,
    StopResponse,
    llm,
    room_io,
)
from livekit.plugins import openai

from agent.settings import Settings

log = logging.getLogger("bench.baseline")


class Transcriber(Agent):
    """Only listens: what was said is its turn's whole outcome."""

    def __init__(self) -> None:
        super().__init__(instructions="", stt=openai.STT(model="whisper-1"))

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:  # noqa: ARG002
        raise StopResponse


class RoomTranscription:
    """An AgentSession for everyone in the room."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._sessions: dict[str, asyncio.Task[AgentSession[None]]] = {}
        room.on("participant_connected", self.listen_to)
        room.on("participant_disconnected", self._leave)
        self._leaving: set[asyncio.Task[None]] = set()

    def listen_to(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity not in self._sessions:
            self._sessions[participant.identity] = asyncio.create_task(self._session(participant.identity))

    async def close(self) -> None:
        await asyncio.gather(*(self._close(session) for session in self._sessions.values()), *self._leaving)

    async def _session(self, identity: str) -> AgentSession[None]:
        session: AgentSession[None] = AgentSession()
        await session.start(
            Transcriber(),
            room=self._room,
            room_options=room_io.RoomOptions(
                audio_input=True,
                audio_output=False,
                text_input=False,
                text_output=False,
                participant_identity=identity,
            ),
        )
        return session

    def _leave(self, participant: rtc.RemoteParticipant) -> None:
        if starting := self._sessions.pop(participant.identity, None):
            task = asyncio.create_task(self._close(starting))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _close(self, starting: "asyncio.Task[AgentSession[None]]") -> None:
        session = await starting
        await session.aclose()


async def transcribe(ctx: JobContext) -> None:
    """The job of one room."""
    transcription = RoomTranscription(ctx.room)
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    for participant in ctx.room.remote_participants.values():
        transcription.listen_to(participant)
    ctx.add_shutdown_callback(transcription.close)


async def work() -> None:
    """Serve rooms until told to stop."""
    server = AgentServer(
        num_idle_processes=Settings().recorder_idle_processes,
        load_fnc=lambda: 0.0,
        host="127.0.0.1",
        port=0,
    )
    server.rtc_session(transcribe)
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    server.on("worker_registered", lambda *_: log.info("worker_ready"))
    serving = asyncio.create_task(server.run())
    await asyncio.wait(
        [serving, asyncio.create_task(told_to_stop.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    await server.aclose()
    await serving


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    asyncio.run(work())


if __name__ == "__main__":
    # Job processes look the entrypoint up by its module's name, which must not be `__main__`.
    import_module("bench.session_per_participant").main()

"""What a client says of itself stands beside what the recorder measured, and changes none of it."""

import asyncio

from agent.demo.camera import Camera
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row
from bench.truths.laid_beside import average_row
from bench.truths.sent import Sent

CLAIMED = {
    "bitrate_kbps": 9000.0,
    "fps": 60.0,
    "packets_lost": 5000,
    "packets_received": 5000,
    "seconds": 60.0,
}


async def own_leg(rig: Rig) -> list[Row]:
    """A client tells of figures that are very different from what it sends."""
    room, sent = new_room(), Sent()
    async with rig.stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: rig.stack.log("recording_began", room=room))
        async with sent.publishing(student, Camera((320, 180), 15, simulcast=False)) as camera:
            assert camera.publication is not None
            told = {"track_sid": camera.publication.sid, "source": "camera", **CLAIMED}
            for _ in range(3):
                await asyncio.sleep(4)
                await student.send("quality.reading", told)
            await asyncio.sleep(1)
    record = await rig.stack.completed(room)
    claims = [reading for reading in record["readings"] if reading["leg"] == "client_to_sfu"]
    kept = [claim for claim in claims if all(claim[name] == value for name, value in CLAIMED.items())]
    loss = record["quality_metrics"]["packet_loss_percentage"]
    return [
        Row(
            "a client's own figures",
            "3 readings",
            f"{len(kept)} readings",
            str(3 - len(kept)),
            len(kept) == 3,
        ),
        average_row("beside a client's own figures", record, sent.average),
        Row("beside a client's own figures: loss", "0 %", f"{loss} %", f"{loss}", loss == 0),
    ]


CASES = [Case("a client's own figures", 25, own_leg)]

"""Words: what was said is what is written, by whoever's voice."""

from bench.speech import WORDS, line, sentence, word_error_rate
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row


async def human_speech(rig: Rig) -> list[Row]:
    """The LibriVox sentences, one after another."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await until(lambda: rig.stack.log("recording_began", room=room))
        lines = [
            line("student-1", speech, await student.say(speech))
            for speech in (sentence(name.removeprefix("austen-")) for name in WORDS)
        ]
    record = await rig.stack.completed(room)
    heard = [entry["text"] for entry in record["transcript"]]
    wrong = 100 * word_error_rate([spoken.words for spoken in lines], heard)
    return [
        Row("human speech, 5 sentences", "every word", f"WER {wrong:.1f} %", f"{wrong:.1f} %", wrong <= 1)
    ]


CASES = [Case("human speech", 40, human_speech)]

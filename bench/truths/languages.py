"""The language stored with each utterance, as ISO 639-1, detected or set."""

from bench.stack import Stack
from bench.truths import corpus
from bench.truths.case import Case, Rig, Row
from bench.truths.corpus import Clip
from bench.truths.voices import Voice, say_in
from bench.truths.words import heard_in_a_room

# Sentences that `base` takes for French. From so plain a voice it takes others for Czech or Latin.
FRENCH = (
    "J'aime beaucoup les mathématiques, mais je ne sais pas encore quelle école choisir.",
    "Mes parents veulent que je devienne médecin, mais je préfère la musique.",
)
GERMAN = (
    "Guten Tag, ich heiße Peter und möchte heute über mein Studium sprechen.",
    "Ich mag Mathematik sehr gern, aber ich weiß noch nicht, an welche Universität ich gehen soll.",
)
SHORT = ("Yes.", "Okay.", "Thank you.", "No, not yet.")


async def detected(rig: Rig) -> list[Row]:
    """RECORDER_LANGUAGE empty."""
    english = corpus.spoken_by(Voice("a woman"), SHORT)
    with rig.stack_of_its_own(RECORDER_LANGUAGE="") as stack:
        return [
            *await _rows(
                stack,
                "detected",
                {"en": corpus.human(), "fr": _foreign("fr", FRENCH), "de": _foreign("de", GERMAN)},
            ),
            *await _rows(stack, "detected, short words", {"en": [*corpus.human()[:1], *english]}),
        ]


async def told(rig: Rig) -> list[Row]:
    """RECORDER_LANGUAGE set."""
    rows = await _rows(rig.stack, "set to en", {"en": corpus.human()[:2]})
    with rig.stack_of_its_own(RECORDER_LANGUAGE="de") as stack:
        return [*rows, *await _rows(stack, "set to de", {"de": _foreign("de", GERMAN)})]


async def _rows(stack: Stack, how: str, said: dict[str, list[Clip]]) -> list[Row]:
    _, heard = await heard_in_a_room(stack, said)
    return [
        Row(
            f"language: {language}, {how}",
            f"{len(clips)} sentences in {language}",
            f"{len(entries)} entries in {', '.join(sorted({str(e.get('language')) for e in entries}))}",
            f"{len(wrong)} wrong" + "".join(f"; {e['text'][:40]}" for e in wrong[:3]),
            holds=bool(entries) and not wrong,
        )
        for (language, clips), entries in zip(said.items(), heard, strict=True)
        for wrong in [[e for e in entries if e.get("language") != language]]
    ]


def _foreign(language: str, script: tuple[str, ...]) -> list[Clip]:
    return corpus.clean([say_in(language, words, pace=140) for words in script])


CASES = [
    Case("language, detected", 60, detected),
    Case("language, set", 60, told),
]

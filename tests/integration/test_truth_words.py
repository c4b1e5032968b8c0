"""The cheap part of `bench.truth words language`: voices, moments, languages, sounds that are not speech."""

import asyncio

import numpy as np
import pytest
from livekit.local_inference import VAD

from agent import recognition
from agent.recognition import Recogniser, iso_639_1
from agent.session.errors import TranscriptionUnavailable
from agent.settings import Settings
from agent.utterances import RATE, WINDOW, Cutter
from bench.speech import word_error_rate
from bench.stack import Stack
from bench.truths import corpus, moments, words
from bench.truths.languages import FRENCH, GERMAN
from bench.truths.noises import SOUNDS, as_speech
from bench.truths.voices import Voice, say_in

MUMBLED = "Bonjour, je m'appelle Pierre et je voudrais parler de mes études à l'université."


async def test_three_who_talk_at_once_are_each_written_down_when_they_talked(stack: Stack) -> None:
    said: words.Said = {
        "human": corpus.human()[1:3],
        "numbers": corpus.spoken_by(Voice("a woman"), corpus.NUMBERS[:2]),
        "quiet": [
            corpus.quieter(clip, 30) for clip in corpus.spoken_by(Voice("a man", depth=0.8), corpus.NAMES[:2])
        ],
    }
    lines, heard = await words.heard_in_a_room(stack, said)
    for (name, clips), entries in zip(said.items(), heard, strict=True):
        texts = [entry["text"] for entry in entries]
        assert word_error_rate([clip.speech.words for clip in clips], texts) <= 0.1, (name, texts)
        assert {entry["language"] for entry in entries} == {"en"}
    begins, ends = moments.rows_of_moments("three at once", lines, heard)
    assert begins.holds, begins
    assert ends.holds, ends


@pytest.mark.parametrize(("language", "sentence"), [("fr", FRENCH[0]), ("de", GERMAN[0])])
async def test_a_language_is_detected_and_told_by_its_code(
    whisper_url: str, language: str, sentence: str
) -> None:
    settings = Settings(openai_base_url=whisper_url, recorder_language="", _env_file=None)
    recogniser = Recogniser(settings)
    samples = (await asyncio.to_thread(say_in, language, sentence, 140)).at(RATE).samples
    assert (await recogniser.words(samples)).language == language
    await recogniser.aclose()


async def test_what_the_model_cannot_make_sense_of_does_not_hold_up_others(whisper_url: str) -> None:
    """Hasty French of a plain voice: `base` makes nothing of it, and used to ramble for over a minute."""
    settings = Settings(openai_base_url=whisper_url, recorder_language="", _env_file=None)
    recogniser = Recogniser(settings)
    samples = (await asyncio.to_thread(say_in, "fr", MUMBLED, 140)).at(RATE).samples
    async with asyncio.timeout(45):
        await recogniser.words(np.pad(samples, RATE // 4))
    await recogniser.aclose()


async def test_an_answer_is_awaited_for_as_long_as_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin has its own idea of that."""
    monkeypatch.setattr(recognition, "ANSWER_SECONDS", 0.5)
    done = asyncio.Event()

    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = Settings(openai_base_url=f"http://127.0.0.1:{port}/v1", _env_file=None)
        recogniser = Recogniser(settings, persistence=0.1)
        async with asyncio.timeout(10):
            with pytest.raises(TranscriptionUnavailable, match="no answer"):
                await recogniser.words(np.zeros(RATE, np.int16))
        await recogniser.aclose()
        done.set()


@pytest.mark.parametrize(
    ("told", "stored"),
    [
        ("english", "en"),
        ("en-US", "en"),
        ("de", "de"),
        ("Haitian Creole", "ht"),
        ("cantonese", "zh"),
        ("hawaiian", None),
        ("", None),
    ],
)
def test_a_language_is_stored_as_two_letters_however_a_service_tells_it(
    told: str, stored: str | None
) -> None:
    assert iso_639_1(told) == stored


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_that_is_not_speech_is_no_utterance(name: str) -> None:
    samples = as_speech(SOUNDS[name](30)).samples
    cutter, vad = Cutter(), VAD()
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    assert not any(cutter.push(window, vad.predict(window)) for window in windows)
    assert cutter.flush() is None
    assert np.abs(samples).max() > 1000 or name == "silence"

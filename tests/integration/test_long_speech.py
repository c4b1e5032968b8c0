"""Someone who talks for a minute without a pause loses no word at a cut."""

from itertools import pairwise

import numpy as np
from livekit.local_inference import VAD

from agent.recognition import Recogniser
from agent.settings import Settings
from agent.utterances import LONGEST, RATE, WINDOW, Cutter, Samples, Utterance
from bench.speech import WORDS, sentence, word_error_rate, words_alone

BREATHLESS = np.zeros(RATE // 10, np.int16)  # far less than the pause that ends an utterance


def monologue(times: int) -> Samples:
    sentences = [words_alone(sentence(name.removeprefix("austen-"))) for name in WORDS]
    return np.concatenate([part for spoken in sentences * times for part in (spoken, BREATHLESS)])


def cut(samples: Samples) -> list[Utterance]:
    cutter, vad = Cutter(), VAD()
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    found = [utterance for window in windows if (utterance := cutter.push(window, vad.predict(window)))]
    return [*found, *filter(None, [cutter.flush()])]


async def test_a_minute_without_a_pause_is_recognised_as_well_as_its_sentences(whisper_url: str) -> None:
    spoken = monologue(times=3)
    assert len(spoken) / RATE > 60
    utterances = cut(spoken)
    assert all(len(utterance.samples) <= LONGEST * WINDOW for utterance in utterances)
    assert len(utterances) >= 3
    for earlier, later in pairwise(utterances):
        assert later.begin >= earlier.end
    settings = Settings(openai_base_url=whisper_url, recorder_language="en", _env_file=None)
    recogniser = Recogniser(settings)
    heard = [(await recogniser.words(utterance.samples)).text for utterance in utterances]
    await recogniser.aclose()
    said = " ".join(list(WORDS.values()) * 3)
    assert word_error_rate([said], heard) <= 0.05, heard

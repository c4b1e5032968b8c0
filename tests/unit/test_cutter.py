"""Utterances out of windows of 512 samples, 31.25 a second. Numbers are windows unless they say otherwise."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from agent.utterances import (
    LEAD,
    LEAST,
    LINGER,
    LONGEST,
    PAUSE,
    RATE,
    TRAIL,
    WINDOW,
    Cutter,
    Samples,
    Utterance,
    windows,
)

SPEECH, WEAK, SILENCE = 0.9, 0.4, 0.01
LOUD, HUSH = 3000, 20


class Stream:
    """Audio in which every window begins with its own number, so that its samples can be recognised."""

    def __init__(self) -> None:
        self.cutter = Cutter()
        self.windows: list[Samples] = []
        self.probabilities: list[float] = []
        self.utterances: list[Utterance] = []

    def hear(self, count: int, probability: float, *, loudness: int | None = None) -> "Stream":
        if loudness is None:
            loudness = LOUD if probability > SILENCE else HUSH
        for _ in range(count):
            window = np.full(WINDOW, loudness, np.int16)
            window[0] = len(self.windows)
            self.windows.append(window)
            self.probabilities.append(probability)
            self._keep(self.cutter.push(window, probability))
        return self

    def flush(self) -> "Stream":
        self._keep(self.cutter.flush())
        return self

    def _keep(self, utterance: Utterance | None) -> None:
        if utterance is not None:
            self.utterances.append(utterance)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each utterance begins and ends."""
        return [(in_windows(u.begin), in_windows(u.end)) for u in self.utterances]

    @property
    def audio(self) -> list[tuple[int, int]]:
        """From which window to which each utterance has audio; checked to be that very audio."""
        spans = []
        for utterance in self.utterances:
            first, count = int(utterance.samples[0]), in_windows(len(utterance.samples))
            expected = np.concatenate(self.windows[first : first + count])
            assert np.array_equal(utterance.samples, expected)
            spans.append((first, first + count))
        return spans


def in_windows(samples: int) -> int:
    assert samples % WINDOW == 0
    return samples // WINDOW


def test_so_many_windows_cover_a_time() -> None:
    assert windows(0.032) == 1
    assert windows(0.033) == 2
    assert windows(1.0) == 32


def test_silence_is_no_utterance() -> None:
    assert Stream().hear(500, SILENCE).flush().utterances == []


def test_a_pause_ends_an_utterance() -> None:
    stream = Stream().hear(30, SILENCE).hear(50, SPEECH).hear(PAUSE - 1, SILENCE)
    assert stream.utterances == []
    stream.hear(1, SILENCE)
    assert stream.spans == [(30, 80 - LINGER)]


def test_speech_ended_a_little_before_the_model_stops_to_believe_in_it_but_not_where_it_is_cut() -> None:
    assert Stream().hear(40, SPEECH).hear(1, SILENCE).flush().spans == [(0, 40 - LINGER)]
    assert Stream().hear(40, SPEECH).flush().spans == [(0, 40)]


def test_an_utterance_says_in_samples_where_speech_began_and_ended() -> None:
    (utterance,) = Stream().hear(30, SILENCE).hear(50, SPEECH).hear(PAUSE, SILENCE).utterances
    assert (utterance.begin, utterance.end) == (30 * 512, (80 - LINGER) * 512)
    assert utterance.samples.dtype == np.int16


def test_a_little_audio_before_and_after_is_sent_along() -> None:
    stream = Stream().hear(30, SILENCE).hear(50, SPEECH).hear(PAUSE, SILENCE)
    assert stream.audio == [(30 - LEAD, 80 + TRAIL)]


def test_at_the_very_beginning_there_is_less_to_send_along() -> None:
    stream = Stream().hear(3, SILENCE).hear(50, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(3, 53 - LINGER)]
    assert stream.audio == [(0, 53 + TRAIL)]


def test_a_shorter_silence_does_not_end_it() -> None:
    stream = Stream().hear(50, SPEECH).hear(PAUSE - 1, SILENCE).hear(20, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(0, 50 + PAUSE - 1 + 20 - LINGER)]


def test_a_click_is_no_utterance() -> None:
    stream = Stream().hear(30, SILENCE)
    for _ in range(10):
        stream.hear(LEAST - 1, SPEECH).hear(5, SILENCE)
    assert stream.flush().utterances == []


def test_a_click_right_after_an_utterance_is_none_either() -> None:
    stream = Stream().hear(40, SPEECH).hear(PAUSE, SILENCE).hear(LEAST - 1, SPEECH).hear(50, SILENCE).flush()
    assert stream.spans == [(0, 40 - LINGER)]
    stream = Stream().hear(40, SPEECH).flush().hear(LEAST - 1, SPEECH).hear(50, SILENCE).flush()
    assert stream.spans == [(0, 40)]


def test_the_shortest_speech_is_an_utterance() -> None:
    stream = Stream().hear(30, SILENCE).hear(LEAST, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(30, 31)]
    assert stream.audio == [(30 - LEAD, 30 + LEAST + TRAIL)]


def test_weak_speech_does_not_begin_an_utterance_but_carries_one_on() -> None:
    assert Stream().hear(100, WEAK).flush().utterances == []
    stream = Stream().hear(10, SPEECH).hear(40, WEAK).hear(PAUSE, SILENCE)
    assert stream.spans == [(0, 50 - LINGER)]


def test_a_soft_onset_belongs_to_the_speech_that_it_leads_up_to() -> None:
    stream = Stream().hear(30, SILENCE).hear(4, 0.2).hear(20, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(30, 54 - LINGER)]


def test_an_onset_reaches_no_further_back_than_the_audio_that_is_sent() -> None:
    stream = Stream().hear(100, 0.2).hear(20, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(100 - LEAD, 120 - LINGER)]
    assert stream.audio == [(100 - LEAD, 120 + TRAIL)]


def test_a_flush_ends_what_is_being_said_here_and_the_rest_is_another_utterance() -> None:
    stream = Stream().hear(20, SILENCE).hear(40, SPEECH).flush().hear(30, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(20, 60), (60, 90 - LINGER)]
    assert stream.audio == [(20 - LEAD, 60), (60, 90 + TRAIL)]


def test_a_flush_in_a_pause_keeps_the_trail_that_there_is() -> None:
    assert Stream().hear(40, SPEECH).hear(3, SILENCE).flush().audio == [(0, 43)]
    assert Stream().hear(40, SPEECH).hear(TRAIL + 2, SILENCE).flush().audio == [(0, 40 + TRAIL)]


def test_a_second_flush_has_nothing_to_say() -> None:
    assert len(Stream().hear(40, SPEECH).flush().flush().utterances) == 1


def test_an_utterance_right_after_another_shares_no_audio_with_it() -> None:
    stream = Stream().hear(40, SPEECH).hear(PAUSE, SILENCE).hear(40, SPEECH).hear(PAUSE, SILENCE)
    assert stream.spans == [(0, 40 - LINGER), (40 + PAUSE, 80 + PAUSE - LINGER)]
    # the pause is longer than the trail: the rest of it leads up to the second
    assert stream.audio == [(0, 40 + TRAIL), (40 + TRAIL, 80 + PAUSE + TRAIL)]


def test_a_monologue_of_a_minute_is_cut_at_its_quiet_places_and_nothing_is_lost_or_doubled() -> None:
    sentence, breath, minute = windows(4.6), windows(0.4), windows(60)
    stream = Stream()
    while len(stream.windows) < minute:
        stream.hear(sentence, SPEECH).hear(breath, SILENCE)
    stream.flush()

    assert len(stream.utterances) >= 3
    assert all(len(u.samples) <= LONGEST * WINDOW <= 28 * RATE for u in stream.utterances)
    cuts = [end for _, end in stream.audio[:-1]]
    assert all(stream.probabilities[cut] == stream.probabilities[cut - 1] == SILENCE for cut in cuts)
    spoken = np.concatenate([u.samples for u in stream.utterances])
    everything = np.concatenate(stream.windows)
    assert np.array_equal(spoken, everything[: len(spoken)])
    assert len(everything) - len(spoken) <= (breath - TRAIL) * WINDOW  # the silence at the very end
    assert [begin for begin, _ in stream.spans[1:]] == [end for _, end in stream.spans[:-1]]


def test_a_monologue_without_a_breath_is_cut_all_the_same() -> None:
    stream = Stream().hear(windows(60), SPEECH).flush()
    assert all(len(u.samples) <= LONGEST * WINDOW for u in stream.utterances)
    assert np.array_equal(
        np.concatenate([u.samples for u in stream.utterances]), np.concatenate(stream.windows)
    )


def test_the_loudest_sample_is_not_taken_for_quiet() -> None:
    stream = (
        Stream().hear(500, SPEECH).hear(20, SPEECH, loudness=-32768).hear(LONGEST, SPEECH, loudness=-30000)
    )
    (_, cut), *_ = stream.audio
    assert cut < 500


@pytest.mark.parametrize("quietest", [0, 5])
def test_a_pause_that_begins_just_before_the_longest_utterance_is_full_leaves_no_ghost(quietest: int) -> None:
    for spoken in range(LONGEST - PAUSE - 1, LONGEST + 1):
        stream = Stream().hear(spoken, SPEECH)
        stream.hear(quietest, SILENCE, loudness=2 * HUSH).hear(2 * PAUSE, SILENCE, loudness=HUSH).flush()
        assert all(begin < end for begin, end in stream.spans), (spoken, stream.spans)
        assert stream.spans[-1][1] == max(spoken - LINGER, stream.spans[-1][0] + 1)
        assert stream.audio[0][0] == 0
        assert stream.audio[-1][1] >= spoken


def runs(probabilities: Iterable[float]) -> list[tuple[int, int]]:
    """Where there is certain speech that is no click."""
    found, begin = [], None
    for n, probability in enumerate([*probabilities, SILENCE]):
        if probability == SPEECH:
            begin = n if begin is None else begin
        elif begin is not None:
            if n - begin >= LEAST:
                found.append((begin, n))
            begin = None
    return found


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_said_is_in_one_utterance_and_in_no_two(seed: int) -> None:
    random = Random(seed)
    stream = Stream()
    while len(stream.windows) < windows(120):
        stream.hear(random.choice([1, 2, 30, 200, 400]), SPEECH, loudness=random.randrange(500, LOUD))
        stream.hear(
            random.randrange(1, 2 * PAUSE), random.choice([SILENCE, WEAK]), loudness=random.randrange(1, 99)
        )
        if random.random() < 0.1:
            stream.flush()
    stream.flush()

    audio, spans = stream.audio, stream.spans
    assert all(end <= begin for (_, end), (begin, _) in pairwise(audio))
    assert all(first <= begin < end <= last for (first, last), (begin, end) in zip(audio, spans, strict=True))
    assert all(last - first <= LONGEST for first, last in audio)
    heard = {n for first, last in audio for n in range(first, last)}
    for begin, end in runs(stream.probabilities):
        assert heard.issuperset(range(begin, end)), (begin, end)


def test_what_is_being_said_can_be_looked_at_from_its_first_sample_on() -> None:
    stream = Stream().hear(30, SILENCE)
    assert stream.cutter.under_way is None
    first, said = stream.hear(40, SPEECH).cutter.under_way or (0, [])
    assert first == (30 - LEAD) * WINDOW
    assert np.array_equal(np.concatenate(said), np.concatenate(stream.windows[30 - LEAD :]))
    assert stream.hear(PAUSE, SILENCE).cutter.under_way is None


def test_what_follows_a_cut_is_under_way_from_the_cut_on() -> None:
    stream = Stream().hear(LONGEST, SPEECH)
    (utterance,) = stream.utterances
    first, said = stream.cutter.under_way or (0, [])
    assert first == len(utterance.samples)
    assert np.array_equal(np.concatenate(said), np.concatenate(stream.windows[in_windows(first) :]))

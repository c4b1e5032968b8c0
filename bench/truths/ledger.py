"""Whose speech is where: what was played is transcribed, or in a named gap, to the second."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from livekit.local_inference import VAD

from agent.demo.microphone import Spoken
from agent.demo.speech import Speech
from agent.session.coverage import TRANSCRIPTION_UNAVAILABLE
from agent.session.spans import Span, seconds, within
from agent.utterances import RATE, WINDOW, Cutter
from bench.truths.case import Row

TARGET = 2.0  # percent of the speech played that may be unaccounted for


def speech_in(speech: Speech) -> list[tuple[float, float]]:
    """Seconds from the first sample at which speech begins and ends, as in a room with silence round it."""
    silence = np.zeros(RATE, np.int16)
    samples = np.concatenate((silence, speech.at(RATE).samples, silence))
    cutter, vad = Cutter(), VAD()
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    found = [cutter.push(window, vad.predict(window)) for window in windows]
    return [(u.begin / RATE - 1, u.end / RATE - 1) for u in [*found, cutter.flush()] if u]


def played(speech: Speech, spoken: Spoken) -> list[Span]:
    """When the speech in it was played; `spoken` is what the microphone told of its first audible sample."""
    first_sample = spoken.begin - timedelta(seconds=speech.lead)
    return [
        Span(first_sample + timedelta(seconds=begin), first_sample + timedelta(seconds=end))
        for begin, end in speech_in(speech)
    ]


def rows(case: str, record: Mapping[str, Any], speech: Mapping[str, Iterable[Span]]) -> list[Row]:
    """A row for everyone who spoke: speech played = speech transcribed + speech in gaps."""
    return [_row(f"{case}, {identity}", record, identity, list(own)) for identity, own in speech.items()]


def _row(case: str, record: Mapping[str, Any], identity: str, speech: list[Span]) -> Row:
    ledger = record["coverage"]["participants"][identity]
    unheard = [
        Span(datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["until"]))
        for gap in record["gaps"]
        if gap.get("identity") in (identity, None)
        and gap["what"] in ("transcript", "everything")
        and gap["reason"] != TRANSCRIPTION_UNAVAILABLE
    ]
    true = seconds(speech)
    untold = ledger["missed"].get(TRANSCRIPTION_UNAVAILABLE, 0.0)
    in_gaps = untold + seconds(within(speech, unheard))
    error = 100 * (ledger["transcribed"] + in_gaps - true) / true
    share = ledger["share"]
    return Row(
        case,
        f"{true:.1f} s of speech",
        f"{ledger['transcribed']:.1f} s transcribed, {in_gaps:.1f} s in gaps, share {share}",
        f"{error:+.1f} %",
        holds=abs(error) <= TARGET,
    )

"""Every case of `python -m bench.truth`."""

from bench.truths import (
    coverage,
    first_words,
    languages,
    layers,
    loss,
    monologue,
    not_speech,
    numbers,
    own_leg,
    own_words,
    restarts,
    scores,
    tracks,
    video_loss,
    withheld,
    words,
)
from bench.truths.case import Case

ALL: list[Case] = [
    *words.CASES,
    *monologue.CASES,
    *not_speech.CASES,
    *languages.CASES,
    *loss.CASES,
    *video_loss.CASES,
    *coverage.CASES,
    *own_words.CASES,
    *tracks.CASES,
    *withheld.CASES,
    *first_words.CASES,
    *numbers.CASES,
    *scores.CASES,
    *restarts.CASES,
    *own_leg.CASES,
    *layers.CASES,
]

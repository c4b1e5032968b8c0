"""What is said in the cases of words: scripts, voices, and what a real room does to a voice."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from agent.demo.lines import LINES, load
from agent.demo.microphone import Spoken
from agent.demo.script import Line
from agent.demo.speech import Samples, Speech
from bench.speech import WORDS, loud_part, sentence
from bench.truths.noises import RATE, Sound, pink
from bench.truths.voices import Voice, say_in

SOFT = 0.03  # of the loudest 10 ms, i.e. 30 dB below: a clean voice's softest sounds
AROUND = 0.6  # seconds of noise before and after a sentence

NUMBERS = (
    "My score was one thousand four hundred and twenty, and my brother got thirty four.",
    "The tuition is fifty two thousand dollars a year, and the scholarship covers twenty five percent.",
    "Applications are due on January fifth, and the interviews begin on March twenty first.",
    "I took eleven classes in twelfth grade, and I was absent for only three days.",
    "There are two hundred and fifty students in my year, and sixteen of them want to study law.",
    "It takes me forty minutes to get there, and the first lesson starts at eight.",
    "I have written six drafts, and the last one has six hundred and ninety words.",
)
NAMES = (
    "My name is Harriet Campbell, and I live in Chicago with my sister Rebecca.",
    "Professor Anderson wrote a letter for me, and so did Doctor Martinez.",
    "We visited Boston, Philadelphia and Michigan in October with my uncle Steven.",
    "Jennifer and Michael both applied to Stanford, but only Michael was accepted.",
    "I would rather go to Oxford or Edinburgh than stay in Texas.",
    "My favorite writers are Charles Dickens, Jane Austen and Ernest Hemingway.",
    "On Wednesday we met Emily Johnson from the University of California.",
    "Thomas and Elizabeth went to school in New York before they moved to Canada.",
    "In August I am flying to London with Daniel.",
)
TALK = (
    "So, how have you been since we last talked?",
    "Honestly, I am nervous about the interview, because last year I forgot everything I wanted to say.",
    "Yes.",
    "That happens to many people, and there is a simple way to practice it.",
    "No, I have not tried that yet.",
    "Then let us start with the question that you are most afraid of, and see how it goes.",
    "Okay.",
    "Tell me about something that you made with your own hands, and what you learned while you made it.",
    "I built a small boat with my grandfather, and it sank after ten minutes, but we both laughed a lot.",
    "Thank you.",
)


@dataclass(frozen=True, eq=False)
class Clip:
    """Speech whose words are heard from `begin` to `end`, in seconds of it."""

    speech: Speech
    begin: float
    end: float

    def line(self, identity: str, spoken: Spoken) -> Line:
        """When its words really began and ended."""
        began = spoken.begin - timedelta(seconds=self.speech.lead)
        begin, end = (began + timedelta(seconds=at) for at in (self.begin, self.end))
        return Line(identity, self.speech.words, begin, end)


def human() -> list[Clip]:
    """LibriVox sentences, at the rate of `noises`."""
    speeches = (sentence(name.removeprefix("austen-")) for name in WORDS)
    return [Clip(speech, *loud_part(speech)) for speech in speeches]


def spoken_by(voice: Voice, script: Iterable[str]) -> list[Clip]:
    return clean([voice.say(words) for words in script])


def spoken_plainly(accent: str, script: Iterable[str]) -> list[Clip]:
    return clean([say_in(accent, words) for words in script])


def demo() -> list[Clip]:
    """The demo's own lines, in its two voices."""
    return clean([load(name) for name in LINES])


def clean(speeches: Iterable[Speech]) -> list[Clip]:
    """Without noise or breath: words are all that is to be heard."""
    return [Clip(speech, *loud_part(speech, SOFT, hum=0)) for speech in speeches]


def quieter(clip: Clip, decibels: float) -> Clip:
    return _with(clip, clip.speech.samples.astype(np.float64) * 10 ** (-decibels / 20))


def in_noise(clip: Clip, snr: float) -> Clip:
    """So many dB louder than the noise round it; the signal's loudness is that of its words alone."""
    speech = clip.speech.at(RATE)
    words = speech.samples[int(clip.begin * RATE) : int(clip.end * RATE)].astype(np.float64)
    samples: Sound = np.pad(speech.samples.astype(np.float64), int(AROUND * RATE))
    noise = pink(len(samples) / RATE + 1)[: len(samples)]
    noise *= np.sqrt((words**2).mean()) / noise.std() / 10 ** (snr / 20)
    return _with(Clip(speech, clip.begin + AROUND, clip.end + AROUND), samples + noise)


def _with(clip: Clip, samples: Sound) -> Clip:
    limited: Samples = np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
    speech = Speech.of(limited, clip.speech.sample_rate, clip.speech.words)
    return replace(clip, speech=speech)

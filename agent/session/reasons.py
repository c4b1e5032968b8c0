"""Why something is missing from a record: every reason that a gap can have, as a person reads it."""

from collections.abc import Mapping

GAP_REASONS: Mapping[str, str] = {
    "subscribing": "the first moment of a microphone",
    "recorder_joined_late": "the recorder had just joined",
    "transcription_unavailable": "no words could be had for this speech",
    "recorder_taken_over": "the recorder was replaced",
    "connection_lost": "their connection was lost",
    "recorder_cut_off": "the recorder had no connection",
    "recorder_error": "the recorder failed to listen",
    "encrypted": "encrypted: nothing of it could be heard",
    "not_permitted": "they did not let the recorder hear them",
    "not_received": "their microphone was on and nothing came of it",
    "own_words_missing": "their program sent no words for this speech",
    "own_words_refused": "words that their program sent could not be taken",
}

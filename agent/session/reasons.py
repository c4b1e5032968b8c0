"""Why something is missing from a record: every reason that a gap can have, as a person reads it."""

from collections.abc import Mapping

CONNECTION_LOST = "connection_lost"  # LiveKit heard nothing more of a participant who had not left
ENCRYPTED, NOT_PERMITTED, NOT_RECEIVED = "encrypted", "not_permitted", "not_received"
OWN_WORDS_MISSING, OWN_WORDS_REFUSED = "own_words_missing", "own_words_refused"

GAP_REASONS: Mapping[str, str] = {
    "subscribing": "the first moment of a microphone",
    "recorder_joined_late": "the recorder had just joined",
    "transcription_unavailable": "no words could be had for this speech",
    "recorder_taken_over": "the recorder was replaced",
    CONNECTION_LOST: "their connection was lost",
    "recorder_cut_off": "the recorder had no connection",
    "recorder_error": "the recorder failed to listen",
    ENCRYPTED: "encrypted: nothing of it could be heard",
    NOT_PERMITTED: "they did not let the recorder hear them",
    NOT_RECEIVED: "their microphone was on and nothing came of it",
    OWN_WORDS_MISSING: "their program sent no words for this speech",
    OWN_WORDS_REFUSED: "words that their program sent could not be taken",
}

"""Text streams -> utterances: which streams are one utterance, and when it is complete.

LiveKit's agents send their own words as one stream that grows (a delta stream: its header says that it is
not final, its trailer that it is). Words they heard of somebody else they send as a series of streams with
one segment id: each has the whole text so far, and the last one is final. A further final one replaces it.

Pure bookkeeping; time comes in with each call.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_Key = tuple[str, str]  # identity, segment id
_SAME_SEGMENT = timedelta(minutes=2)  # a program that begins anew may count its segments anew
_MOST_REMEMBERED = 1_000  # segments that are complete, and of how many senders which is the latest


@dataclass(slots=True)
class Segment:
    """One utterance as it grows: from `began`, when its first stream opened, to the last word of `text`."""

    identity: str
    segment_id: str
    began: datetime
    until: datetime
    track_sid: str | None = None  # what its streams say whose words they have
    text: str = ""
    reading: int = 0  # streams of it that are open


class Segments:
    """Gives each segment to `complete`: with each final text, or its last when no more can come."""

    def __init__(self, complete: Callable[[Segment], None]) -> None:
        self._complete = complete
        self._growing: dict[_Key, Segment] = {}
        # What comes late of these changes nothing, unless it is final.
        self._complete_ones: OrderedDict[_Key, Segment] = OrderedDict()
        self._latest: dict[str, Segment] = {}  # by identity

    def opened(self, identity: str, segment_id: str, at: datetime, track_sid: str | None = None) -> Segment:
        """A stream begins. With a new segment its sender has done with those before, final or not."""
        key = identity, segment_id
        segment = self._growing.get(key) or Segment(identity, segment_id, at, at, track_sid)
        if (before := self._complete_ones.get(key)) and at - before.until > _SAME_SEGMENT:
            del self._complete_ones[key]
        elif before:
            segment.began, segment.track_sid = before.began, track_sid or before.track_sid
        segment.reading += 1
        if key not in self._growing and key not in self._complete_ones:
            self._growing[key] = self._latest[identity] = segment
            for other in self._of(identity):
                if other is not segment and not other.reading:
                    self._settle(other)
        return segment

    def ended(self, segment: Segment, text: str, until: datetime, *, final: bool) -> None:
        """A stream has been read to its end."""
        segment.reading -= 1
        key = segment.identity, segment.segment_id
        if final and text and key in self._complete_ones:
            segment.text, segment.until = text, until
            self._complete(segment)
            return
        if text:
            segment.text, segment.until = text, until
        if final or (not segment.reading and self._latest.get(segment.identity) is not segment):
            self._settle(segment)

    def broke_off(self, segment: Segment, text: str, until: datetime) -> None:
        """A stream ended before its time: what was read of it counts, unless there is something whole.

        Streams of someone who leaves break off; an agent may still send the whole of what they said.
        """
        if segment.text:
            self.dropped(segment)
        else:
            self.ended(segment, text, until, final=False)

    def dropped(self, segment: Segment) -> None:
        """A stream does not count."""
        segment.reading -= 1

    def no_more_from(self, identity: str) -> None:
        """They are gone: what they said last stands as it is."""
        for segment in self._of(identity):
            self._settle(segment)

    def no_more(self) -> None:
        """The room is gone."""
        for segment in list(self._growing.values()):
            self._settle(segment)

    def _of(self, identity: str) -> list[Segment]:
        return [segment for segment in self._growing.values() if segment.identity == identity]

    def _settle(self, segment: Segment) -> None:
        key = segment.identity, segment.segment_id
        if self._growing.pop(key, None) is not None:
            self._complete_ones[key] = segment
            if len(self._complete_ones) > _MOST_REMEMBERED:
                self._complete_ones.popitem(last=False)
            if segment.text:
                self._complete(segment)

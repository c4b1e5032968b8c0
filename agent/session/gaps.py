"""Gaps that touch or overlap are one: what lasts is told piece by piece, and may be seen by two signs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.session.events import GapNoted
from agent.session.reasons import CONNECTION_LOST, ENCRYPTED, NOT_PERMITTED, NOT_RECEIVED

LASTING = (CONNECTION_LOST, ENCRYPTED, NOT_PERMITTED, NOT_RECEIVED)


def joined(gaps: Iterable[GapNoted]) -> Sequence[GapNoted]:
    """The same gaps, those of one participant that last for one reason in as few as possible."""
    whole: list[GapNoted] = []
    lasting: dict[tuple[str | None, str, str], GapNoted] = {}
    for gap in sorted(gaps, key=lambda gap: gap.at):
        if gap.reason not in LASTING:
            whole.append(gap)
            continue
        about = (gap.identity, gap.what, gap.reason)
        open_one = lasting.get(about)
        if open_one is not None and gap.at <= open_one.until:
            lasting[about] = replace(open_one, until=max(open_one.until, gap.until))
            continue
        if open_one is not None:
            whole.append(open_one)
        lasting[about] = gap
    return [*whole, *lasting.values()]

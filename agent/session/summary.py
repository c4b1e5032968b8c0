"""A session in figures, for the one line that a log needs of it."""

from typing import Any

from agent.session.fold import Session


def summary(session: Session) -> dict[str, Any]:
    """A finished session in figures: its canonical log line."""
    ending, start = session.ending, session.start_time
    transcript, metrics = session.transcript(), session.quality_metrics()
    return {
        "duration_seconds": int((ending.at - start).total_seconds()) if ending and start else None,
        "end_reason": ending.reason if ending else None,
        "stays": len(session.stays),
        "utterances": len(transcript),
        "readings": metrics["total_readings"],
        "gaps": len(session.gaps()),
        "coverage": session.coverage()["share"],
        "connection_quality": metrics["connection_quality_average"],
    }

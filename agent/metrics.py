"""What one worker counts, for Prometheus: numbers only, and no identity, room or word in any label.

A job is a process of its own and is seen from outside: that there is one, and what it leaves on disk.
"""

import os
from collections import Counter as Tally
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from agent.audio_files import REJECTED, SPEAKING, UTTERANCE, audio_folder

SPOOLED = ".jsonl"
STATES = {SPOOLED: "waiting", UTTERANCE: "waiting", SPEAKING: "waiting", REJECTED: "rejected"}


class Metrics:
    """Counters count from the worker's start; gauges tell how things are when they are asked for."""

    def __init__(self) -> None:
        self._registry = of = CollectorRegistry()
        ProcessCollector(registry=of)
        self.rooms = Gauge("recorder_rooms", "Rooms that this worker records", registry=of)
        self.rooms_limit = Gauge("recorder_rooms_limit", "Rooms it takes before it is full", registry=of)
        self.draining = Gauge("recorder_draining", "1 once it was told to stop", registry=of)
        self.registered = Gauge(
            "recorder_livekit_registered", "1 while LiveKit can send it rooms", registry=of
        )
        self.recorders_started = Counter(
            "recorder_recorders_started",
            "Recorders started, by who asked: livekit, our own look for new rooms, or the reconciler "
            "because a room lacked one",
            ["by"],
            registry=of,
        )
        self.rooms_waiting = Gauge(
            "recorder_rooms_waiting",
            "Rooms without a recorder, as every worker is full",
            registry=of,
        )
        self.rooms_given_up = Counter(
            "recorder_rooms_given_up",
            "Times that a room still had no recorder after five were started in vain",
            registry=of,
        )
        self.sessions_completed_abandoned = Counter(
            "recorder_sessions_completed_abandoned",
            "Sessions completed because recorder and room were gone",
            registry=of,
        )
        self.reconcile_failures = Counter(
            "recorder_reconcile_failures", "Looks for rooms without a recorder that failed", registry=of
        )
        self.reconciled = Gauge(
            "recorder_reconciled_timestamp_seconds",
            "When this worker last compared all rooms with all recorders (one worker does at a time)",
            registry=of,
        )
        self.webhooks = Counter(
            "recorder_webhooks", "Webhooks received: news, other, refused", ["outcome"], registry=of
        )
        self.task_restarts = Counter(
            "recorder_task_restarts", "Background tasks that ended and began again", ["task"], registry=of
        )
        self._on_disk = {
            (folder, unit): Gauge(f"recorder_{folder}_{unit}", f"{what}, by state", ["state"], registry=of)
            for folder, what in (
                ("spool", "Events on disk for the database"),
                ("audio", "Speech on disk for its words"),
            )
            for unit in ("files", "bytes")
        }
        for by in ("livekit", "own", "reconciler"):
            self.recorders_started.labels(by)
        for outcome in ("news", "other", "refused"):
            self.webhooks.labels(outcome)

    def look_at_disk(self, spool_dir: Path) -> None:
        """Measure what waits there; blocking."""
        for folder, states in on_disk(spool_dir).items():
            for state, held in states.items():
                for unit, value in held.items():
                    self._on_disk[folder, unit].labels(state).set(value)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


def on_disk(spool_dir: Path) -> dict[str, dict[str, dict[str, int]]]:
    """`{"spool": {"waiting": {"files": 1, "bytes": 800}, "rejected": ...}, "audio": ...}`; blocking."""
    held = {}
    for name, folder in (("spool", spool_dir), ("audio", audio_folder(spool_dir))):
        files, size = _held_in(folder)
        held[name] = {s: {"files": files[s], "bytes": size[s]} for s in sorted(set(STATES.values()))}
    return held


def _held_in(folder: Path) -> tuple[Tally[str], Tally[str]]:
    """How many files, and how many bytes in them, by state."""
    files, size = Tally[str](), Tally[str]()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if state := STATES.get(Path(entry.name).suffix):
                try:
                    size[state] += entry.stat().st_size
                except FileNotFoundError:
                    continue  # gone since we looked
                files[state] += 1
    return files, size

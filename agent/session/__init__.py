"""The pure core: a session is the fold of its events. Standard library only; no clock, no I/O."""

"""The main job in a minute: two real clients hold a session, and its record is read back and judged."""

"""Histories of any size, as recorders and clients would have left them, and what reading them takes."""

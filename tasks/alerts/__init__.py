"""Notifications of what went wrong: each fault once, to every sink."""

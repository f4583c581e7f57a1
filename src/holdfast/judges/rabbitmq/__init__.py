"""Judges of the broker: pure functions from what was seen (``seen``) to a verdict, by subject."""

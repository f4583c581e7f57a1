"""Judges of the broker, by subject; each has its probe's name."""

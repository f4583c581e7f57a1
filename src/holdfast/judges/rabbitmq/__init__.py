"""Judges of the broker, by subject; each has its probe's name, but ``load``, whose probe is ``cluster``."""

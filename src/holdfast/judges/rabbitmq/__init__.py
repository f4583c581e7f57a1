"""Judges of the broker, by subject; each has the name of its probe in ``probes/rabbitmq``."""

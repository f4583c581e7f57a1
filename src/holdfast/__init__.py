"""Holdfast takes fleets of services through restarts, one proven step at a time."""

__version__ = "0.1.0"

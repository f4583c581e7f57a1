"""Judges of nova: its service list, a compute's work, answers of its services, a unit's log."""

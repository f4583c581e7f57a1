"""Judges: pure functions from what was seen to a verdict; one module per system."""

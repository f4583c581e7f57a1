"""Judges: pure functions from observations to a verdict; one module or package per system."""

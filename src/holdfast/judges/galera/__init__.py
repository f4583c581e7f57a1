"""Judges about a Galera cluster, and about who writes to it."""

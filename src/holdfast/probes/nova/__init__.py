"""Probes of nova: its API, its services over the broker and over HTTP, a unit's log on its host."""

"""Alertmanager and Icinga 2: what fires, and silences of our own."""

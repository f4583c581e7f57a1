"""Probes look and return an observation; one module per system, and the only place of their I/O."""

"""Probes: they ask a host or a service once and return an observation; one module or package per system.

All I/O of gates is here. A probe never decides whether what it found is good.
"""

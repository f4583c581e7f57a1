"""Observations: frozen values that probes return and judges read; one module per system. No I/O."""

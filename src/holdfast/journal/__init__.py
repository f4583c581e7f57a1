"""The journal read back: from a run's events to its state, a pure fold.

Owns what events mean together; does no I/O and reads no clock. ``fold`` is all a reader needs;
``advance`` adds later events to a state one already has.
"""

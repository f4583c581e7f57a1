"""Plans: a runbook applied to a site, and the next decision of a run from its state. Pure.

``builder`` makes plans, ``model`` has their types, ``decide`` makes every decision of a run,
``next_batch`` chooses the hosts that come next. Does no I/O and reads no clock.
"""

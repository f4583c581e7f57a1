"""Plans: a runbook applied to a site, and the next decision of a run from its state. Pure.

``builder`` makes plans, ``model`` has their types, ``decide`` makes every decision of a run,
``host_order`` says which hosts come next. Does no I/O and reads no clock.
"""

"""Probes of the broker, by subject; each has its judge's name: ``quorum`` is judged in ``judges/rabbitmq/quorum``.

Hosts with ``rabbitmq_management_enabled`` are asked over HTTP (``management``), all at once. For the others the
command-line tools run on the task's host (``commands``), one after another, a second or more each. Every probe
is bounded in time.
"""

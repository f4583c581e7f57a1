"""Probes of a Galera cluster: each node is asked over SQL, with a monitoring account.

``SHOW`` and ``information_schema`` alone are read: a node that is not in the primary component refuses anything else.
"""

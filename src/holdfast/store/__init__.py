"""The state of Holdfast: the journal's events and the leases, in one SQL database.

Owns every SQL statement. Works on SQLite, MariaDB (Galera included) and PostgreSQL alike: reading
locks nothing, every change is a compare-and-swap that must change one row, and a transaction that
lost a race is repeated from its first reading (docs/architecture.md, "State"). Leases are judged and
written by the database's clock, never by that of a controller; events have the time that the caller gives.
"""

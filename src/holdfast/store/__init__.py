"""The state of Holdfast: the journal's events and the leases, in one SQL database.

Owns every SQL statement. Works on SQLite, MariaDB (Galera included) and PostgreSQL alike: reading
locks nothing, every change is a compare-and-swap that must change one row, and a transaction that
lost a race is repeated from its first reading (docs/architecture.md, "State"). The clock is an argument.
"""

from holdfast.store.database import Store, open_store
from holdfast.store.leases import LeaseRow
from holdfast.store.processes import (
    driver_is_gone,
    holder_for,
    is_gone,
    processes_of,
)

__all__ = [
    "LeaseRow",
    "Store",
    "driver_is_gone",
    "holder_for",
    "is_gone",
    "open_store",
    "processes_of",
]

"""Every kind of diagnosis, in the order in which causes are looked for: what it explains comes after it."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.diagnosis.model import Kind

_BROKER, _NOVA = "rabbitmq-recover", "nova-restart"
_ANY = ()
"""What is wrong with a host itself may be behind whatever runs there."""

DEAD_RUN = Kind("dead run", _NOVA, systems=_ANY)
ACCOUNT = Kind("site account refused", _NOVA, systems=_ANY)
UNREACHABLE = Kind("host not reached", _NOVA, systems=_ANY)
FULL = Kind("full file system", _NOVA, systems=_ANY)
FROZEN_BROKER = Kind("frozen broker", _BROKER, wide=True)
BROKER_DOWN = Kind("broker not running", _BROKER, wide=True)
PARTITION = Kind("partition", _BROKER, wide=True)
ALARM = Kind("alarm", _BROKER, wide=True)
WEDGED = Kind("wedged broker", _BROKER, wide=True, follows=True)
DRAINED = Kind("drained node", _BROKER)
DATABASE = Kind("database not reached", _NOVA, wide=True, systems=("nova",))
SKEW = Kind("clock skew", _NOVA, systems=_ANY)
FROZEN = Kind("frozen process", _NOVA)
MASKED = Kind("masked unit", _NOVA)
STOPPED = Kind("stopped unit", _NOVA)
FAILED = Kind("failed unit", _NOVA)
STARTING = Kind("starting unit", _NOVA, follows=True)
FLAPPING = Kind("flapping unit", _NOVA, follows=True)
REFUSED = Kind("login refused", _NOVA)
UNCONNECTED = Kind("no connection to a broker", _NOVA, follows=True)
NO_QUEUE = Kind("queue lost", _NOVA, follows=True)
DEAF = Kind("deaf service", _NOVA, follows=True)
DISABLED = Kind("compute left disabled", _NOVA)
STALE_PUPPET = Kind("stale Puppet", _NOVA, systems=("puppet",))
MASS_PUPPET = Kind("mass run of Puppet", _NOVA, systems=("puppet",))
HELD_PUPPET = Kind("Puppet left disabled", _NOVA, systems=("puppet",))
RECOVERING = Kind("recovering", _NOVA, follows=True)

KINDS: tuple[Kind, ...] = (
    DEAD_RUN,
    ACCOUNT,
    FROZEN_BROKER,
    BROKER_DOWN,
    PARTITION,
    ALARM,
    WEDGED,
    DATABASE,
    DRAINED,
    UNREACHABLE,
    FULL,
    SKEW,
    FROZEN,
    MASKED,
    STOPPED,
    FAILED,
    FLAPPING,
    REFUSED,
    UNCONNECTED,
    STARTING,
    NO_QUEUE,
    DEAF,
    DISABLED,
    MASS_PUPPET,
    HELD_PUPPET,
    STALE_PUPPET,
    RECOVERING,
)

BY_CAUSE: Mapping[str, Kind] = {
    "frozen": FROZEN,
    "masked": MASKED,
    "stopped": STOPPED,
    "failed": FAILED,
    "no_such_unit": FAILED,
    "changing": STARTING,
    "flapping": FLAPPING,
    "restarted": RECOVERING,
    "full": FULL,
    "database": DATABASE,
    "skewed": SKEW,
    "refused": REFUSED,
    "cut_off": UNCONNECTED,
    "unconnected": UNCONNECTED,
}
"""The kind of what a host says of its own service, by the cause's code (judges.processes)."""

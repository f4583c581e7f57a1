"""Judge SSH host keys: every address behind a name shows the one that is pinned."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.judges.base import first_few
from holdfast.model import Outcome, Verdict
from holdfast.observations.ssh import ShownKeys


def shows_pinned_key(claim: str, shown: ShownKeys, keys: Sequence[str]) -> Verdict:
    """PASS where every address behind the name shows a host key that is pinned, and no other of its type.

    On 2015-08-12 the bastion's host key had changed for those who logged in: its network service was away, and another
    machine answered at its address. One address of several is enough for that.
    """
    pinned = dict(each.split()[:2] for each in keys)
    others = [
        f"{address} shows another {kind} key"
        for address, found in shown.addresses.items()
        for kind, key in found
        if pinned.get(kind) not in {None, key}
    ]
    silent = [
        address
        for address, found in shown.addresses.items()
        if not any(pinned.get(kind) == key for kind, key in found)
    ]
    evidence = {"addresses": list(shown.addresses), "seen_from": shown.seen_from}
    where = f"{shown.name}, seen from {shown.seen_from}"
    if others:
        message = f"{where}: {first_few(others)} than the one that is pinned; something else answers there"
        return Verdict(claim, Outcome.FAIL, "another_key", message, evidence)
    if silent or not shown.addresses:
        message = f"{where}: {', '.join(silent) or 'no address'} shows no key of a pinned type"
        return Verdict(claim, Outcome.UNKNOWN, "no_key", message, evidence)
    message = f"{where}: the pinned key at {', '.join(shown.addresses)}"
    return Verdict(claim, Outcome.PASS, "pinned", message, evidence)

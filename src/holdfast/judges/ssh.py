"""Judge SSH servers: every address behind a name shows the pinned host key, and lets a test key in."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.judges.base import first_few
from holdfast.model import Outcome, Verdict
from holdfast.observations.ssh import ShownKeys, SshLogins


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


def lets_key_in(claim: str, logins: SshLogins) -> Verdict:
    """PASS where every address behind the name lets the test key in, and shows a pinned host key.

    On 2015-08-12 the bastion rejected keys after its host key had changed: it could not ask who may log in.
    """
    words = {"refused": "refuses the key", "another_key": "shows another host key than the pinned"}
    faults = [
        f"{address} {words[each.outcome]} ({each.said})"
        for address, each in logins.addresses.items()
        if each.outcome in words
    ]
    silent = [
        f"{address}: {each.said or 'no answer'}"
        for address, each in logins.addresses.items()
        if each.outcome == "none"
    ]
    evidence = {"addresses": list(logins.addresses), "seen_from": logins.seen_from}
    where = f"{logins.login}, tried from {logins.seen_from}"
    if faults:
        return Verdict(claim, Outcome.FAIL, "kept_out", f"{where}: {first_few(faults)}", evidence)
    if silent or not logins.addresses:
        message = f"{where}: {first_few(silent) or 'no address was tried'}"
        return Verdict(claim, Outcome.UNKNOWN, "no_login", message, evidence)
    message = f"{where}: let in at {', '.join(logins.addresses)}"
    return Verdict(claim, Outcome.PASS, "let_in", message, evidence)

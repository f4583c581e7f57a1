"""The command with which a person gives a database node its place in haproxy back, after the run was abandoned."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from holdfast.probes.haproxy import Haproxy
from holdfast.writer_move import MAINTENANCE, States

Commands = Callable[[Haproxy, Mapping[str, str]], Sequence[str]]


def undo_command(
    haproxies: Mapping[str, Haproxy], noted: States, server: str, *, writes: bool, inventory: str
) -> str:
    """Return a command line for the controller that gives every server the state from before the first act.

    Where ``server`` was the writer (``writes``), another one writes now. So in every haproxy all other servers are
    stopped first, and not before all have done so does one get new sessions: each part begins only if those before it
    succeeded on all hosts. Otherwise one haproxy would lead to the old writer and another to the new one.
    """

    def stopped(haproxy: Haproxy, states: Mapping[str, str]) -> list[str]:
        others = sorted((name for name in _touched(states) if name != server), reverse=True)
        place = [f"{haproxy.backend}/{name}" for name in others]
        return [
            *(f"set server {each} state {MAINTENANCE}" for each in place),
            *(f"shutdown sessions server {each}" for each in place),
        ]

    def restored(haproxy: Haproxy, states: Mapping[str, str]) -> list[str]:
        names = [name for name in _touched(states) if writes or name == server]
        names.sort(key=server.__ne__)
        return [f"set server {haproxy.backend}/{name} state {states[name]}" for name in names]

    passes: list[Commands] = [stopped, restored] if writes else [restored]
    parts = [part for each in passes for part in _on_all(haproxies, noted, each, inventory)]
    return " && ".join(parts)


def _touched(states: Mapping[str, str]) -> list[str]:
    """Return the servers that the run may have sent a command: those in maintenance before are left alone by all."""
    return [name for name, word in states.items() if word != MAINTENANCE]


def _on_all(
    haproxies: Mapping[str, Haproxy], noted: States, commands: Commands, inventory: str
) -> list[str]:
    """Return one command line for each group of haproxies that are sent the same."""
    hosts: dict[str, list[str]] = {}
    for host, haproxy in haproxies.items():
        if not (sent := commands(haproxy, noted[host])):
            continue
        hosts.setdefault(_on_host(haproxy, sent), []).append(host)
    ansible = ["ansible", "--inventory", inventory, "--become", "--module-name", "raw"]
    return [shlex.join([*ansible, "--args", line, ",".join(on)]) for line, on in hosts.items()]


def _on_host(haproxy: Haproxy, commands: Sequence[str]) -> str:
    """Return what is run on the haproxy's host: it fails where haproxy does not answer, or refuses a command."""
    sent = shlex.quote(";".join(commands))
    line = f'told=$(echo {sent} | socat - {haproxy.site.haproxy_socket}) && test -z "$told"'
    prefix = haproxy.site.haproxy_command_prefix
    return shlex.join([*prefix, "sh", "-c", line]) if prefix else line

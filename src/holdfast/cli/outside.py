"""How the program reaches Ansible in earnest; imported late, since its libraries are slow to load."""

from __future__ import annotations

from holdfast.cli.desk import Desk, Outside


def real(desk: Desk) -> Outside:
    """Plays through ansible-runner, sites and playbooks from the project's files."""
    raise NotImplementedError

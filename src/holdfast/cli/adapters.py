"""How the program reaches Ansible in earnest: plays, sites and playbooks of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.ansible.inventory import AnsibleInventory
from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.claims import bind_claim
from holdfast.cli.context import Adapters, CommandContext
from holdfast.engine import Planner
from holdfast.model import Json
from holdfast.settings import Settings
from holdfast.store import processes_of

if TYPE_CHECKING:
    from holdfast.ansible.interfaces import PlayRunner


def real(desk: CommandContext) -> Adapters:
    """Plays through ansible-runner, sites and playbooks from the project's files."""

    def runner(settings: Settings) -> PlayRunner:
        # ansible-runner takes a while to import, and most commands start no play.
        from holdfast.ansible.play_runner import AnsibleRunner  # noqa: PLC0415

        return AnsibleRunner(
            project=desk.root,
            environ=desk.environ,
            state_url=settings.state_url,
            state_dir=settings.state_dir,
            processes_of=processes_of,
        )

    return Adapters(
        runner=runner,
        planner=Planner(
            inventories=AnsibleInventory(desk.root, desk.environ),
            playbooks=AnsiblePlaybooks(desk.root),
            claim_group=_claim_group,
        ),
    )


def _claim_group(entry: Json) -> str:
    return bind_claim(entry).claim.group

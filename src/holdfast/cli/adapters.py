"""The adapters of the real program: Ansible runs the plays, sites and playbooks are the project's files."""

from __future__ import annotations

from rich.text import Text

from holdfast.ansible.interfaces import PlayRunner
from holdfast.ansible.inventory import AnsibleInventory
from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.ansible.site_reader import AnsibleSites
from holdfast.claims import bind_claim
from holdfast.cli.context import Adapters, CommandContext
from holdfast.engine.planner import Planner
from holdfast.settings import Settings
from holdfast.store.processes import strays_of
from holdfast.text import one_line


def ansible_adapters(context: CommandContext) -> Adapters:
    """Return adapters that run plays with ansible-runner and read sites and playbooks from files."""

    def runner(settings: Settings) -> PlayRunner:
        # ansible-runner takes a while to import, and most commands start no play.
        from holdfast.ansible.play_runner import AnsibleRunner  # noqa: PLC0415

        return AnsibleRunner(
            project=context.root,
            environ=context.environ,
            state_url=settings.state_url,
            state_dir=settings.state_dir,
            processes_of=strays_of,
        )

    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:  # a command may read its site more than once
            warned.add(text)
            context.err.print(Text(one_line(text), "yellow"), soft_wrap=True)

    return Adapters(
        runner=runner,
        sites=AnsibleSites(context.root, context.environ),
        planner=Planner(
            inventories=AnsibleInventory(context.root, context.environ, warn),
            playbooks=AnsiblePlaybooks(context.root),
            claim_group=lambda entry: bind_claim(entry).claim.group,
        ),
    )

"""``AnsibleInventory``: a site's groups and hosts, read by Ansible itself in another process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.ansible.environment import scrubbed
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.plan import SiteInventory

_SECONDS = 120
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


# Ansible takes a part of a limit that matches nothing for a warning: the host that somebody wanted
# to leave out, and misspelt, would be restarted. ansible.cfg says the same for runs by hand; here it
# holds whatever the caller's environment says.
_STRICT = {"ANSIBLE_HOST_PATTERN_MISMATCH": "error"}


@dataclass(frozen=True, slots=True)
class AnsibleInventory:
    """``InventoryReader`` over Ansible's own inventory code, with the project's ansible.cfg."""

    project: Path
    environ: Mapping[str, str]

    def read(self, site: Path, limit: str) -> SiteInventory:
        """The site; variables stay in the process that reads it.

        Raises:
            InvalidInput: it is missing, cannot be read (a vault that does not open included), does
                not name its site, or the limit or a part of it matches no host.
        """
        path = site.expanduser().absolute()
        if not path.exists():
            raise InvalidInput(
                f"there is no inventory {path}", remedy="--site with a directory of inventories/"
            )
        listing = self._listing(path, limit)
        if not listing["site"]:
            raise InvalidInput(
                f"{path} does not say which site it is: holdfast_site is not set",
                remedy=f"set holdfast_site in {path}/group_vars/all.yml",
            )
        if not _NAME.fullmatch(listing["site"]):
            raise InvalidInput(
                f"{path} calls the site {listing['site']!r} (holdfast_site)",
                remedy="a name of letters, digits, `.`, `_` and `-`: leases are <site>/<service>",
            )
        if listing["unmatched"]:
            raise InvalidInput(
                f"--limit {limit!r}: {listing['unmatched']!r} matches no host of {path}",
                remedy=f"see its hosts: ansible-inventory -i {path} --graph",
            )
        selected = listing["selected"]
        if selected is not None and not selected:
            raise InvalidInput(
                f"--limit {limit!r} matches no host of {path}",
                remedy=f"see its hosts: ansible-inventory -i {path} --graph",
            )
        return SiteInventory(
            name=listing["site"],
            path=str(path),
            groups={group: tuple(hosts) for group, hosts in listing["groups"].items()},
            selected=None if selected is None else frozenset(selected),
        )

    def _listing(self, path: Path, limit: str) -> dict[str, Json]:
        program = [sys.executable, "-m", "holdfast.ansible.inventory_program", str(path), limit]
        try:
            answer = subprocess.run(  # noqa: S603  # our own module; path and limit are arguments
                program,
                cwd=self.project,
                env=scrubbed(self.environ) | _STRICT,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InvalidInput(f"{path}: the inventory was not read within {_SECONDS} s") from None
        return _understood(path, limit, answer)


def _understood(
    path: Path, limit: str, answer: subprocess.CompletedProcess[str]
) -> dict[str, Json]:
    last = answer.stdout.splitlines()[-1] if answer.stdout else ""
    try:
        listing: dict[str, Json] = json.loads(last)
    except json.JSONDecodeError:
        words = (answer.stderr or answer.stdout).strip().splitlines() or ["no answer"]
        listing = {"error": words[-1]}
    if "error" in listing:
        what = f"with --limit {limit!r} " if limit else ""
        raise InvalidInput(
            f"{path}: the inventory {what}cannot be read: {listing['error']}",
            remedy=_remedy(path, listing["error"]),
        )
    return listing


def _remedy(path: Path, words: str) -> str:
    if "vault" in words:
        return (
            "tell Ansible where the vault's password is: vault_password_file in ansible.cfg, or "
            "ANSIBLE_VAULT_PASSWORD_FILE"
        )
    if "locale" in words:
        return "export LC_ALL=C.UTF-8"
    return f"see what Ansible says of it: ansible-inventory -i {path} --graph"

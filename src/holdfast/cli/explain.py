"""``holdfast check --explain``: what is not right yet with a site, the first cause first, each with what to do.

The causes of one stage hide those of the next: a variable that is missing says nothing of an account. So the stages are
asked in order: inventory, groups, hosts, variables, and then the claims, which endpoints and accounts may hide.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from rich.text import Text

from holdfast.ansible.interfaces import InventoryReader
from holdfast.ansible.site_reader import SiteAnswer, SiteQuestion, SiteReader
from holdfast.cli.check_result import CheckResult, next_of, with_next
from holdfast.cli.context import CommandContext
from holdfast.cli.new_site import is_vaulted
from holdfast.cli.site_presets import GROUPS, KOLLA, OSA, PRESETS, Preset
from holdfast.errors import InvalidInput
from holdfast.model import Json, Outcome
from holdfast.plan.model import SiteInventory
from holdfast.probes.nova.site import ApiSite, MetadataSite, NovaHost, RpcSite
from holdfast.probes.rabbitmq.site import RabbitSite
from holdfast.report.event_text import MARKS, TONES
from holdfast.report.progress_text import STYLES
from holdfast.report.table import columns
from holdfast.text import count_of, join_names, one_line

Ask = Callable[[Sequence[Json], Sequence[str]], CheckResult]

STAGES: Final = ("inventory", "groups", "hosts", "variables", "endpoints", "accounts", "claims")
_BROKERS, *_LAYERS = GROUPS
_MODELS: Final = {
    _BROKERS: (RabbitSite,),
    "nova_conductor": (NovaHost, RpcSite),
    "nova_scheduler": (NovaHost, RpcSite),
    "nova_compute": (NovaHost, RpcSite),
    "nova_api": (ApiSite,),
    "nova_metadata": (MetadataSite,),
}
_NEEDED_OF_BROKERS = ("rabbitmq_probe_user", "rabbitmq_probe_password")
_NEEDED_OF_MANAGEMENT = ("rabbitmq_management_user", "rabbitmq_management_password")
# Whether the management plugin is on, as far as the site says.
_MANAGED = "{{ rabbitmq_management_enabled | default(true) | bool }}"
_UNREACHED = re.compile(
    r"refused|timed out|no route|name or service|unreachable|certificate|reset by peer",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b40[13]\b|login failed|access_refused|denied|not allowed|invalid cred", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SiteFault:
    """What is not right, at which stage, and what to do about it."""

    stage: str
    text: str
    fix: str
    outcome: Outcome = Outcome.FAIL


def explain_site(context: CommandContext, name: str, ask: Ask) -> bool:
    """Print what is not right yet with the site, and return whether everything is."""
    passed: dict[str, str] = {}
    adapters = context.adapters(context)
    readers = adapters.planner.inventories, adapters.sites
    findings = list(site_findings(context.site(name), *readers, ask, passed))
    table = columns("", "stage", "")
    for stage in STAGES:
        found = [each for each in findings if each.stage == stage]
        for each in found:
            text = Text(one_line(each.text)).append(f"\nnext: {one_line(each.fix)}", "bold")
            table.add_row(_mark(each.outcome), Text(stage, "bold"), text)
        if not found and stage in passed:
            table.add_row(_mark(Outcome.PASS), Text(stage, "bold"), Text(one_line(passed[stage])))
        if not found and stage not in passed:
            table.add_row(Text("-", "dim"), Text(stage, "bold"), Text("not known yet", "dim"))
    context.show(table)
    total = (
        "everything is right"
        if not findings
        else f"{count_of(len(findings), 'thing')} to correct, from the top"
    )
    context.show(Text(f"\n{total}", "green" if not findings else "bold red"))
    return not findings


def _mark(outcome: Outcome) -> Text:
    return Text(MARKS[outcome], STYLES[TONES[outcome]])


def site_findings(
    site: Path, inventories: InventoryReader, sites: SiteReader, ask: Ask, passed: dict[str, str]
) -> Iterator[SiteFault]:
    """Yield what is not right, stage by stage, until one hides those behind it; note what is right in ``passed``."""
    try:
        inventory = inventories.read(site, "")
        states = sites.ask(_question(site))
    except InvalidInput as error:
        yield SiteFault("inventory", error.message, error.remedy)
        return
    every = inventory.groups.get("all", ())
    passed["inventory"] = f"{site}: {count_of(len(every), 'host')}; the site is {inventory.name}"
    found = list(_of_groups(inventory, site))
    yield from found
    members = {group: hosts for group in GROUPS if (hosts := inventory.groups.get(group, ()))}
    passed["groups"] = ", ".join(f"{group} {len(hosts)}" for group, hosts in members.items())
    if not members:
        return
    hosts = tuple(dict.fromkeys(chain.from_iterable(members.values())))
    silent = list(_of_hosts(ask(_reach(hosts), hosts[:1]), site))
    yield from silent
    passed["hosts"] = (
        f"{count_of(len(hosts), 'host')} can be reached, and each is a machine of its own"
    )
    lacking = list(_of_variables(states, site))
    yield from lacking
    passed["variables"] = "those that claims need are set"
    if silent or lacking:
        return
    faults = list(_of_claims(ask((), ()), site))
    yield from faults
    if faults:  # what one of them hides is not known
        return
    passed.update(
        endpoints="all that were asked answered",
        accounts="all were accepted",
        claims="every standing claim holds",
    )


def _question(site: Path) -> SiteQuestion:
    names = {
        group: list(chain.from_iterable(model.needs() for model in models))
        for group, models in _MODELS.items()
    }
    return SiteQuestion(site, groups=[_BROKERS], expressions={"managed": _MANAGED}, inspect=names)


def _of_groups(inventory: SiteInventory, site: Path) -> Iterator[SiteFault]:
    """Yield groups without hosts that the inventory has under another name, and where there is none at all."""
    groups = inventory.groups
    for ours in GROUPS:
        candidates = dict.fromkeys((*KOLLA.groups[ours], *OSA.groups[ours]))
        theirs = [name for name in candidates if groups.get(name)]
        if not groups.get(ours) and theirs:
            yield SiteFault(
                "groups",
                f"{ours} has no hosts, and the inventory has {join_names(theirs)}",
                f"in {site}, a file with: {{{ours}: {{children: {{{theirs[0]}: {{}}}}}}}}",
            )
    if not any(groups.get(group) for group in GROUPS):
        yield SiteFault(
            "groups",
            f"none of the groups {join_names(GROUPS)} has hosts",
            "see docs/sites/by-hand.md, or begin with: holdfast init SITE INVENTORY",
        )


def _reach(hosts: Sequence[str]) -> Sequence[Json]:
    # Any unit: the claim is about the hosts.
    return [
        {"claim": "systemd.machines_distinct", "unit": "systemd-journald", "hosts": list(hosts)}
    ]


def _of_hosts(found: CheckResult, site: Path) -> Iterator[SiteFault]:
    for verdict in _bad(found):
        yield SiteFault("hosts", verdict["message"], next_of(verdict), Outcome(verdict["outcome"]))
    yield from _messages("hosts", found, site)


def _of_variables(states: SiteAnswer, site: Path) -> Iterator[SiteFault]:
    """Yield each variable that cannot be used, with the hosts; one that is missing only where it is needed."""
    needed = {
        name
        for models in _MODELS.values()
        for model in models
        for name, field in model.model_fields.items()
        if field.is_required()
    }
    needed |= {*_NEEDED_OF_BROKERS}
    if states.values.get("managed", True):
        needed |= {*_NEEDED_OF_MANAGEMENT}
    hosts: dict[tuple[str, str], list[str]] = {}
    for host, problems in states.states.items():
        for name, problem in problems.items():
            plain = problem in {"not set", "empty"}
            if not plain or name in needed or name.startswith("vault_"):
                hosts.setdefault((name, problem), []).append(host)
    for (name, problem), affected in sorted(hosts.items()):
        text = f"{name}: {problem} ({join_names(affected, limit=3)})"
        yield SiteFault("variables", text, _fix(name, problem, site))


def _fix(name: str, problem: str, site: Path) -> str:
    """Return where to set a variable, and where its value may be found."""
    vaulted = re.search(r"vault_\w+", f"{name} {problem}")
    file = site / "group_vars/all"
    presets = _presets_of(file / "10-preset.yml")
    if vaulted:
        vault = file / "vault.yml"
        path = shlex.quote(str(vault))
        encrypt = "" if is_vaulted(vault) else f"ansible-vault encrypt {path}; then "
        return f"{_origin(vaulted[0], presets)}{encrypt}ansible-vault edit {path}"
    files = [path for path in (file / "20-site.yml", file / "nova.yml", file) if path.exists()]
    return f"{_origin(name, presets)}set it in {files[0] if files else site / 'group_vars'}"


def _presets_of(file: Path) -> Sequence[Preset]:
    """Return the preset that a site was made from, none where it was not."""
    with suppress(OSError, UnicodeDecodeError):
        first = file.read_text("utf-8").partition("\n")[0]
        return [preset for preset in PRESETS.values() if preset.tool in first]
    return []


def _origin(name: str, presets: Sequence[Preset]) -> str:
    """Return where the tool that deployed the site keeps a value, "" where that is not known."""
    for preset in presets:
        file = f" in {preset.passwords}" if preset.passwords else ""
        keys = [
            f"{each.key}{file}" if each.key else each.what
            for each in preset.secrets
            if each.name == name
        ]
        if where := keys[0] if keys else preset.where.get(name, ""):
            return f"{where}: "
    return ""


def _of_claims(found: CheckResult, site: Path) -> Iterator[SiteFault]:
    for verdict in _bad(found):
        text = f"{verdict['claim']}: {verdict['message']}"
        yield SiteFault(_stage(verdict), text, next_of(verdict), Outcome(verdict["outcome"]))
    yield from _messages("claims", found, site)


def _messages(stage: str, found: CheckResult, site: Path) -> Iterator[SiteFault]:
    """Yield what the play said beside its verdicts; a play that judged nothing and said nothing proves nothing."""
    if not found.verdicts and not found.messages:
        again = shlex.join(["holdfast", "check", "--site", str(site)])
        yield SiteFault(stage, "no claim was judged", again, Outcome.UNKNOWN)
    for message in found.messages:
        text, _, fix = with_next(message).partition("next: ")
        yield SiteFault(stage, text.rstrip("; "), fix, Outcome.UNKNOWN)


def _bad(found: CheckResult) -> Iterator[dict[str, Json]]:
    """Yield the verdicts that are no PASS, one for each cause."""
    seen = set()
    for verdict in found.verdicts:
        if verdict["outcome"] != Outcome.PASS and verdict["message"] not in seen:
            seen.add(verdict["message"])
            yield verdict


def _stage(verdict: Mapping[str, Json]) -> str:
    """Return of which stage the cause of a verdict is: an account that was refused was refused by an endpoint."""
    message = str(verdict["message"])
    if _DENIED.search(message):
        return "accounts"
    return "endpoints" if _UNREACHED.search(message) else "claims"

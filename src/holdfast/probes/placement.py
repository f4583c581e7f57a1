"""Ask two databases about placement's tables, and hosts about their placement-api.

Databases are asked with the client program on the task's host, with the accounts in option files that the role has put
there: what is proved is what the copy itself reads and writes. No secret is in a command.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.placement import (
    UNFINISHED,
    PlacementAnswer,
    PlacementHost,
    TableFigures,
    TableSet,
    TwoSets,
    WayBack,
    WriterUnits,
)
from holdfast.probes.base import CommandResult, ProbeContext, Shell, ask_all, or_unanswered

# $1 is the option file, $2 the database, the rest are statements. Nothing waits for a lock.
_ASK = r"""
client=$(command -v mariadb || command -v mysql) || { echo 'neither mariadb nor mysql is installed' >&2; exit 127; }
file=$1 database=$2; shift 2
for statement; do printf '%s;\n' "$statement"; done |
    "$client" --defaults-extra-file="$file" --connect-timeout=5 --batch --skip-column-names \
        --loose-skip-print-query-on-error --database="$database"
"""
# The first row is the database's own: an answer without it is none.
_NAMES = (
    "SELECT DATABASE(), 0 UNION ALL SELECT table_name, COALESCE(data_length + index_length, 0)"
    " FROM information_schema.tables WHERE table_schema = DATABASE()"
)
_WHOSE = f"SELECT run FROM {UNFINISHED}"  # noqa: S608 - a constant
_WITHOUT_ID = {
    "resource_provider_aggregates": "resource_provider_id",
    "resource_provider_traits": "resource_provider_id",
}
_CONNECTION = r"""
# $1 is the configuration, $2 and $3 are files with the two URLs, $4 is the unit.
said=$(awk '/^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[placement_database\][ \t]*$/) }
    inside && /^connection[ \t]*=/ { sub(/^connection[ \t]*=[ \t]*/, ""); sub(/[ \t]+$/, ""); print }' "$1") || exit 1
if [ "$said" = "$(cat "$2")" ]; then echo source
elif [ "$said" = "$(cat "$3")" ]; then echo target
else echo other; fi
systemctl is-active -- "$4"
:
"""

# With nova's own account, URL and login, on a host of nova: the way that nova itself takes.
_PROVIDERS = """# asks placement for its resource providers
import sys
from keystoneauth1 import loading
from oslo_config import cfg
conf = cfg.ConfigOpts()
for what in ('auth', 'session', 'adapter'):
    getattr(loading, f'register_{what}_conf_options')(conf, 'placement')
conf([], default_config_files=[sys.argv[1]])
auth = loading.load_auth_from_conf_options(conf, 'placement')
session = loading.load_session_from_conf_options(conf, 'placement', auth=auth, timeout=10)
client = loading.load_adapter_from_conf_options(conf, 'placement', session=session, service_type='placement')
answer = client.get('/resource_providers', raise_exc=False)
print(answer.status_code, len(answer.json()['resource_providers']) if answer.status_code == 200 else 0)
"""


def probe_source(
    context: ProbeContext, directory: str, source: str, tables: Sequence[str]
) -> TableSet:
    """Return what the old database has; the option file is ``source.cnf`` in the directory.

    Raises:
        CannotTell: it does not answer, or refuses the account.
    """
    return _tables(context.shell, f"{directory}/source.cnf", source, tables)


def probe_target(
    context: ProbeContext, directory: str, target: str, tables: Sequence[str]
) -> TableSet:
    """Return what the new database has; raises as ``probe_source``."""
    return _tables(context.shell, f"{directory}/target.cnf", target, tables)


def probe_both(
    context: ProbeContext, directory: str, source: str, target: str, tables: Sequence[str]
) -> TwoSets:
    """Return what both have; raises as ``probe_source``."""
    return TwoSets(
        probe_source(context, directory, source, tables),
        probe_target(context, directory, target, tables),
    )


def probe_way_back(
    context: ProbeContext, directory: str, target: str, config: str, unit: str
) -> WayBack:
    """Return each placement host's configured database and unit, and what the new database has.

    Raises:
        CannotTell: the new database does not answer. A host that does not has its cause.
    """

    def ask(host: str) -> PlacementHost:
        files = (f"{directory}/source.url", f"{directory}/target.url")
        answer = context.reach(host).run(["sh", "-c", _CONNECTION, "sh", config, *files, unit])
        words = answer.stdout.split()
        if answer.rc or len(words) < 2:
            raise CannotTell(f"{host}: {_last_line(answer)}")
        return PlacementHost(words[0], words[1] not in ("inactive", "failed"))

    hosts = {host: host for host in context.members("placement")}
    answers = ask_all(hosts, lambda host: or_unanswered(ask, host))
    return WayBack(answers, probe_target(context, directory, target, ()))


def probe_answers(context: ProbeContext, config: str) -> PlacementAnswer:
    """Return what placement answers to the first host of the group ``nova_api``, as nova is configured there.

    Raises:
        CannotTell: nothing was answered; there is no such host.
    """
    hosts = context.members("nova_api")
    if not hosts:
        raise CannotTell("the inventory's group nova_api has no host to ask from")
    answer = context.reach(hosts[0]).run(["python3", "-c", _PROVIDERS, config])
    words = answer.stdout.split()
    if answer.rc or len(words) != 2 or not all(each.isdigit() for each in words):
        raise CannotTell(f"placement, asked from {hosts[0]}: {_last_line(answer)}")
    return PlacementAnswer(hosts[0], int(words[0]), int(words[1]))


def probe_writers(context: ProbeContext, unit: str, nova_unit: str) -> WriterUnits:
    """Return the active state of every placement-api and nova-api; a host that does not answer has its cause."""
    units: dict[str, list[str]] = {}
    for group, name in (("placement", unit), ("nova_api", nova_unit)):
        for host in context.members(group):
            units.setdefault(host, []).append(name)

    def ask(host: str) -> Sequence[str]:
        answer = context.reach(host).run(["systemctl", "is-active", "--", *units[host]])
        states = answer.stdout.split()
        if len(states) != len(units[host]):
            raise CannotTell(f"{host}: {_last_line(answer)}")
        return states

    found: dict[str, str | Unanswered] = {}
    for host, answer in ask_all({h: h for h in units}, lambda h: or_unanswered(ask, h)).items():
        for number, name in enumerate(units[host]):
            state = answer if isinstance(answer, Unanswered) else answer[number]
            found[f"{name} on {host}"] = state
    return WriterUnits(found)


def _tables(shell: Shell, file: str, database: str, wanted: Sequence[str]) -> TableSet:
    first, *rows = _ask(shell, file, database, [_NAMES]) or [[]]
    sizes: dict[str, int] = {}
    try:
        sizes = {name: int(size) for name, size in rows}
    except ValueError:
        first = []
    if first != [database, "0"]:
        raise CannotTell(f"{database} lists its tables in another shape than expected")
    placement = [name for name in wanted if name in sizes]
    asked = [  # the claim's parameters have the names' form
        f"SELECT '{name}', COUNT(*), COALESCE(MAX({_WITHOUT_ID.get(name, 'id')}), 0) FROM `{name}`"  # noqa: S608 - see above
        for name in placement
    ]
    asked += [f"CHECKSUM TABLE `{name}`" for name in placement]
    answers = _ask(shell, file, database, asked) if asked else []
    counted, summed = answers[: len(placement)], answers[len(placement) :]
    try:
        figures = {
            name: TableFigures(int(rows), int(largest), _number(checksum))
            for (name, rows, largest), (_, checksum) in zip(counted, summed, strict=True)
        }
        marked = UNFINISHED in sizes
        run = _ask(shell, file, database, [_WHOSE]) if marked else []
    except ValueError:
        raise CannotTell(f"{database}: figures in another shape than expected") from None
    if placement != list(figures):
        raise CannotTell(f"{database}: not every table was counted")
    size = sum(sizes[name] for name in placement)
    named = run[0][0] if run else "an unnamed run" if marked else ""
    return TableSet(database, tuple(wanted), tuple(sizes), figures, size, named)


def _number(text: str) -> str:
    """Return a checksum; a table that cannot be read has NULL."""
    return str(int(text))


def _ask(shell: Shell, file: str, database: str, statements: Sequence[str]) -> list[list[str]]:
    answer = shell.run(["sh", "-c", _ASK, "sh", file, database, *statements])
    if answer.rc:
        raise CannotTell(f"the database {database} cannot be asked: {_last_line(answer)}")
    return [line.split("\t") for line in answer.stdout.splitlines() if line]


def _last_line(answer: CommandResult) -> str:
    """Return what the program said; the server names the account, and never the password."""
    lines = [line for line in (answer.stderr or answer.stdout).splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with {answer.rc}"

"""A client of one node, over a connection that is opened as the site says. Every wait is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pymysql.connections import Connection
from pymysql.err import MySQLError, OperationalError

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.connections import trust
from holdfast.probes.galera.site import NO_ACCOUNT, DatabaseNode

Row = Sequence[Json]

# A session that waits for the cluster (wsrep_sync_wait) would hang on a node that has lost it. The server ends what
# nobody waits for any more.
_BEGIN = "SET SESSION wsrep_sync_wait = 0, SESSION lock_wait_timeout = 2, SESSION max_statement_time = {:g}"
_ACCESS_DENIED, _NO_SUCH_VARIABLE = 1045, 1193
_HINTS = {
    _ACCESS_DENIED: "the account or its password is wrong (galera_user, galera_password)",
    1040: "all connections are taken (max_connections)",
    1203: "the account has all connections that it may have",
    1129: "this address is blocked after failed connections; on the node: mariadb-admin flush-hosts",
    1227: "the account lacks a privilege; it needs PROCESS, and on a replica SLAVE MONITOR",
    1047: "the node has no place in the cluster yet, and refuses statements",
    _NO_SUCH_VARIABLE: "the server was built without Galera, or is no MariaDB",
}


class _NeverInTheClear:
    """Refuses a way to log in that sends the password as it is: without TLS anybody on the way could ask for it."""

    def __init__(self, connection: object) -> None:
        """PyMySQL's form; the connection is not needed."""

    def authenticate(self, _packet: object) -> None:
        """Refuse."""
        raise OperationalError(
            0, "it asks for the password in clear text, and galera_tls is not set"
        )


_IN_THE_CLEAR: dict[str, Callable[[Connection], object]] = dict.fromkeys(
    ("mysql_clear_password", "dialog"), _NeverInTheClear
)


@contextmanager
def session(node: DatabaseNode) -> Iterator[Connection]:
    """Open a session that waits for nothing; the password is given to the client library alone.

    Raises:
        CannotTell: the node refused it, or does not answer in time; the message has the account and no password.
    """
    site, seconds = node.site, node.site.galera_answer_seconds
    if not site.galera_user:
        raise CannotTell(f"{node.host}: {NO_ACCOUNT}")
    where = f"{node.host}'s MariaDB ({node.address} port {site.galera_port})"
    try:
        connection = Connection(
            host=site.galera_tls_name or node.address,
            user=site.galera_user,
            password=site.galera_password.get_secret_value().encode(),  # as text it would have to be Latin-1
            ssl=trust(site.galera_ca_file, f"{node.host}: galera_ca_file")
            if site.galera_tls
            else None,
            ssl_disabled=not site.galera_tls,
            read_timeout=seconds,
            write_timeout=seconds,
            program_name="holdfast",
            auth_plugin_map=None if site.galera_tls else _IN_THE_CLEAR,
            defer_connect=True,
        )
        opened = node.target.open()
        opened.settimeout(seconds)
        connection.connect(opened)
    except MySQLError as error:
        said = f"refused {site.galera_user!r}: {_cause(error)}"
        raise CannotTell(f"{where} {_late(node, error) or said}") from None
    except OSError as error:
        raise CannotTell(f"{where}: {_late(node, error) or error}") from None
    try:
        ask(node, connection, _BEGIN.format(seconds))
        yield connection
    finally:
        connection.close()


def ask(node: DatabaseNode, connection: Connection, statement: str) -> list[Row]:
    """Return the rows of a statement.

    Raises:
        CannotTell: the node refuses it, or does not answer in time.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    except MySQLError as error:
        raise refusal(node, error, statement) from None


def refusal(node: DatabaseNode, error: MySQLError, statement: str) -> CannotTell:
    """Return what says that a node refused a statement, or gave no answer to it in time."""
    said = _late(node, error) or f"refused it: {_cause(error)}"
    return CannotTell(f"{node.host}'s MariaDB {said}: `{statement}`")


def _late(node: DatabaseNode, error: Exception) -> str:
    """Return what to say of an answer that did not come in time; "" where it did. The library keeps only the text."""
    late = isinstance(error, TimeoutError) or "timed out" in str(error)
    return f"gave no answer in {node.site.galera_answer_seconds:g} s" if late else ""


def _cause(error: MySQLError) -> str:
    """Return number and cause; the server's own text of a refused login has the account, never the password."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    hint = _HINTS.get(number)
    return f"{text} ({number}): {hint}" if hint else f"{text} ({number})"

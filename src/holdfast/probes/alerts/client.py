"""HTTP to an alerting service: one request, and what counts as no answer. The meaning of answers is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from requests import Response
from requests.auth import HTTPBasicAuth
from requests.exceptions import ConnectTimeout, RequestException, Timeout

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.alerts.site import ANSWER_SECONDS, Account
from holdfast.probes.clients import MAX_ERROR, cause_of, http_session, was_not_connected
from holdfast.probes.connections import trust

OK = 200
REFUSALS = {401, 403}


class NotDone(CannotTell):
    """The service was not reached or refused the account, so that it has done nothing of what it was asked."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer of any status but 401 and 403; the body is decoded where it is JSON."""

    status: int
    body: Json

    @property
    def said(self) -> str:
        """The status and the beginning of the body, for messages."""
        body = self.body.get("status", self.body) if isinstance(self.body, dict) else self.body
        return f"{self.status}: {str(body)[:MAX_ERROR]}" if body else str(self.status)


def request(
    account: Account, method: str, path: str, body: Json = None, **more: Json
) -> HttpAnswer:
    """Send one request, once; ``more`` are options of requests, such as ``params``.

    Raises:
        NotDone: it was not reached, or the account was refused.
        CannotTell: there is no answer, and it may have done what it was asked. No password is in a message.
    """
    if not account.url:
        raise NotDone(f"{account.name} is not known: {account.variable}_url is not set")
    authorities = partial(trust, account.ca_file, f"{account.variable}_ca_file", NotDone)
    where = f"{account.name} ({account.variable}_url)"
    try:
        with http_session(account.connect, authorities, account.tls_name) as session:
            session.headers["Accept"] = "application/json"
            if account.user:
                session.auth = HTTPBasicAuth(
                    account.user.encode(), account.password.get_secret_value().encode()
                )
            answer = session.request(
                method,
                f"{account.url.rstrip('/')}{path}",
                json=body,
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
                **more,
            )
    except Timeout as error:
        kind = NotDone if isinstance(error, ConnectTimeout) else CannotTell
        raise kind(f"{account.name} gave no answer in {ANSWER_SECONDS:g} s") from None
    except RequestException as error:
        # A ValueError: the URL cannot be used.
        unsent = was_not_connected(error) or isinstance(error, ValueError)
        raise (NotDone if unsent else CannotTell)(f"{where}: {cause_of(error)}") from None
    if answer.status_code in REFUSALS:
        raise NotDone(
            f"{account.name} refused {account.variable}_user {account.user!r}"
            f" ({answer.status_code} to {path})",
            login_refused=True,
        )
    return HttpAnswer(answer.status_code, _json(answer))


def _json(answer: Response) -> Json:
    try:
        return answer.json()
    except ValueError:
        return answer.text[:MAX_ERROR]

"""HTTP to an alerting service: one request, and what counts as no answer. The meaning of answers is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.alerts.site import ANSWER_SECONDS, Account
from holdfast.probes.clients import HttpxTransport
from holdfast.probes.connections import trust

OK = 200
REFUSALS = {401, 403}
MAX_ERROR = 200  # characters of an answer that a message quotes


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
    """Send one request, once; ``more`` are options of httpx, such as ``params``.

    Raises:
        NotDone: it was not reached, or the account was refused.
        CannotTell: there is no answer, and it may have done what it was asked. No password is in a message.
    """
    if not account.url:
        raise NotDone(f"{account.name} is not known: {account.variable}_url is not set")
    login = (account.user, account.password.get_secret_value()) if account.user else None
    plain, file = account.url.startswith("http:"), f"{account.variable}_ca_file"
    trusted = trust(account.ca_file, file, plain=plain, error=NotDone)
    name = {"sni_hostname": account.tls_name} if account.tls_name else {}
    try:
        with httpx.Client(
            auth=login,
            headers={"Accept": "application/json"},
            timeout=ANSWER_SECONDS,
            transport=HttpxTransport(account.connect, trusted),
            trust_env=False,  # a proxy of the environment would be sent the password
        ) as client:
            answer = client.request(
                method,
                f"{account.url.rstrip('/')}{path}",
                json=body,
                extensions=name,
                **more,
            )
    except httpx.TimeoutException as error:
        kind = NotDone if isinstance(error, httpx.ConnectTimeout) else CannotTell
        raise kind(f"{account.name} gave no answer in {ANSWER_SECONDS:g} s") from None
    except (httpx.ConnectError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotDone(f"{account.name} ({account.variable}_url): {error}") from None
    except httpx.TransportError as error:
        raise CannotTell(f"{account.name} ({account.variable}_url): {error}") from None
    if answer.status_code in REFUSALS:
        raise NotDone(
            f"{account.name} refused {account.variable}_user {account.user!r}"
            f" ({answer.status_code} to {path})",
            login_refused=True,
        )
    return HttpAnswer(answer.status_code, _json(answer))


def _json(answer: httpx.Response) -> Json:
    try:
        return answer.json()
    except ValueError:
        return answer.text[:MAX_ERROR]

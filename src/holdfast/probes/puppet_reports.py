"""Read a report of Puppet: what a run has changed, or would have with noop."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.puppet import PuppetReport

REFRESH = "refresh"
"""The name of the event with which a resource was refreshed; a noop has only a line in the log for it."""

_WOULD = re.compile(r"Would have triggered 'refresh'")
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]  # chosen when it is imported
    """Reads Ruby's objects as plain mappings."""


def _plain(loader: Any, _tag: str, node: yaml.Node) -> Json:  # PyYAML's own
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!ruby/", _plain)


def parse_report(host: str, packed: str | None) -> PuppetReport | None:
    """Return the report that was sent packed; None where there is none.

    Raises:
        CannotTell: it has another shape than Puppet writes.
    """
    if not packed:
        return None
    try:
        text = gzip.decompress(base64.b64decode(packed, validate=True))
        return _report(yaml.load(text, _Loader))  # noqa: S506  # a safe loader
    except (
        binascii.Error,
        OSError,
        EOFError,
        yaml.YAMLError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        kind = type(error).__name__
        raise CannotTell(
            f"{host}: a report of its Puppet agent is written in another shape than expected ({kind})"
        ) from None


def _report(found: Mapping[str, Json]) -> PuppetReport:
    resources: Mapping[str, Mapping[str, Json]] = found["resource_statuses"] or {}
    changes = {name: _changed(each) for name, each in resources.items()}
    refreshed = {name for name, each in resources.items() if REFRESH in _names(each)}
    failed = [
        name for name, each in resources.items() if each["failed"] or each["failed_to_restart"]
    ]
    return PuppetReport(
        began=datetime.fromisoformat(
            re.sub(r"(\.\d{6})\d+", r"\1", str(found["time"]))
        ).timestamp(),
        noop=bool(found["noop"]),
        completed=bool(found["transaction_completed"]),
        cached=str(found["cached_catalog_status"]),
        status=str(found["status"]),
        transaction=str(found["transaction_uuid"]),
        changes={name: how for name, how in changes.items() if how},
        refreshes=frozenset(refreshed | set(_would_refresh(found, resources))),
        failed=tuple(failed),
    )


def _changed(resource: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the properties that were changed, or would be."""
    events = [each for each in resource["events"] or () if each["status"] in {"success", "noop"}]
    return tuple(
        sorted({str(e["property"]) for e in events if e["name"] != REFRESH and e["property"]})
    )


def _names(resource: Mapping[str, Json]) -> set[str]:
    events = resource["events"] or ()
    return {str(each["name"]) for each in events if each["status"] == "success"}


def _would_refresh(found: Mapping[str, Json], resources: Mapping[str, Json]) -> Iterator[str]:
    """Yield the resources that the log of a noop says would be refreshed; its events do not have them."""
    lines = [line for line in found["logs"] or () if _WOULD.search(str(line["message"]))]
    for name in resources:
        if any(str(line["source"]).endswith(f"/{name}") for line in lines):
            yield name

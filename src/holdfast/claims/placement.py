"""The claims about a move of placement's tables into a database of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import placement
from holdfast.observations.placement import TABLES, TableFigures
from holdfast.probes.placement import (
    probe_answers,
    probe_both,
    probe_source,
    probe_target,
    probe_way_back,
    probe_writers,
)

IF_IT_HOLDS = "holdfast show placement-extraction#if-it-holds"


TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class DirectoryParameters(Parameters):
    """``directory``: where the role has put the accounts, on the task's host."""

    directory: str = Field(min_length=1)


class TablesParameters(DirectoryParameters):
    """``tables``: placement's."""

    tables: tuple[TableName, ...] = Field(TABLES, min_length=1)


class SourceParameters(TablesParameters):
    """``source``: the name of the old database."""

    source: str = Field(min_length=1)


class TargetParameters(TablesParameters):
    """``target``: the name of the new database."""

    target: str = Field(min_length=1)


class BothParameters(SourceParameters, TargetParameters):
    """Both."""


class FiguresParameters(SourceParameters):
    """``figures``: those of each table when the copy was compared."""

    figures: Mapping[str, TableFigures] = Field(min_length=1)


class BackParameters(DirectoryParameters):
    """``target``: the name of the new database.

    ``config``: the file with ``[placement_database]``, on each host. ``unit``: placement's.
    """

    target: str = Field(min_length=1)
    config: str = Field(min_length=1)
    unit: str = Field(min_length=1)


class AnswerParameters(Parameters):
    """``config``: nova's configuration, on its host. ``providers``: so many resource providers at least."""

    config: str = "/etc/nova/nova.conf"
    providers: int = Field(default=1, ge=1)


class UnitsParameters(Parameters):
    """``unit``: placement's, on the hosts of ``placement``. ``nova_unit``: the API's, on those of ``nova_api``."""

    unit: str = Field(min_length=1)
    nova_unit: str = Field(min_length=1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="placement.source_whole",
        probe=probe_source,
        judge=placement.source_whole,
        parameters=SourceParameters,
        remedy=IF_IT_HOLDS,
        final=("tables_missing", "nothing_to_move"),
    ),
    Claim(
        name="placement.target_empty",
        probe=probe_target,
        judge=placement.target_empty,
        parameters=TargetParameters,
        remedy=IF_IT_HOLDS,
        final=(placement.NOT_EMPTY,),
    ),
    Claim(
        name="placement.copy_agrees",
        probe=probe_both,
        judge=placement.copy_agrees,
        parameters=BothParameters,
        remedy=IF_IT_HOLDS,
        final=(placement.DIFFERS,),
    ),
    Claim(
        name="placement.source_unchanged",
        probe=probe_source,
        judge=placement.source_unchanged,
        parameters=FiguresParameters,
        remedy=IF_IT_HOLDS,
        final=(placement.CHANGED,),
    ),
    Claim(
        name="placement.on_old_database",
        probe=probe_way_back,
        judge=placement.on_old_database,
        also=("placement",),
        parameters=BackParameters,
        remedy=IF_IT_HOLDS,
        final=("on_new_database", "other_connection"),
    ),
    Claim(
        name="placement.writers_run",
        probe=probe_writers,
        judge=placement.writers_run,
        also=("placement", "nova_api"),
        parameters=UnitsParameters,
        remedy=IF_IT_HOLDS,
    ),
    Claim(
        name="placement.writers_stopped",
        probe=probe_writers,
        judge=placement.writers_stopped,
        also=("placement", "nova_api"),
        parameters=UnitsParameters,
        remedy=IF_IT_HOLDS,
    ),
    Claim(
        name="placement.answers_nova",
        probe=probe_answers,
        judge=placement.answers_nova,
        group="nova_api",
        parameters=AnswerParameters,
        remedy=IF_IT_HOLDS,
    ),
    Claim(
        name="placement.may_go_back",
        probe=probe_way_back,
        judge=placement.may_go_back,
        also=("placement",),
        parameters=BackParameters,
        remedy=IF_IT_HOLDS,
        final=(placement.PAST,),
    ),
)

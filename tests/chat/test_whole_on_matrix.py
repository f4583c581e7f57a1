"""The whole bot on a real homeserver: run, refuse, approve by reaction, follow; a fleet in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.chat.transports.matrix import Matrix, MatrixSettings
from tests.chat.servers.matrix_environment import MatrixEnvironment, create_environment
from tests.chat.servers.synapse import Json, SynapseServer
from tests.chat.transport_harness import fast_backoff, run_scenario, until
from tests.unit.chat.chat_harness import CONFIG, ChatHarness
from tests.unit.cli.cli_harness import HOSTS

APPROVE = "\u2705"


def transport(environment: MatrixEnvironment) -> Matrix:
    return Matrix(
        MatrixSettings(
            homeserver=environment.holdfast.url,
            user=environment.holdfast.id,
            access_token=environment.holdfast.token,
            rooms=(environment.room, environment.log),
            timeout_seconds=5,
        ),
        fast_backoff(),
    )


def config(environment: MatrixEnvironment) -> dict[str, Any]:
    """Return a configuration in which ada may approve too, but not her own runs."""
    config = environment.config("lab", access_token="")
    also = {"role": "approver", "people": ["ada"], "sites": ["lab"]}
    patient = [{"sites": ["lab"], "deadline_seconds": 36_000}]
    return CONFIG | config | {"roles": [*config["roles"], also], "approvals": patient}


def messages_with(environment: MatrixEnvironment, part: str, events: Sequence[Json]) -> list[Json]:
    """Return the bot's messages with that part, without edits."""
    return [
        event
        for event in events
        if event["sender"] == environment.holdfast.id
        and "m.new_content" not in event["content"]
        and part in event["content"]["body"]
    ]


def test_a_run_is_approved_and_posted_although_the_server_is_killed_meanwhile(
    server: SynapseServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        environment = create_environment(server)
        harness = ChatHarness(
            tmp_path / "project", config=config(environment), transport=transport(environment)
        )

        def messages_in_room(part: str) -> list[Json]:
            return messages_with(environment, part, environment.events())

        def logged() -> list[Json]:
            return messages_with(environment, "", environment.log_events())

        async with harness.serving():
            await until(
                lambda: (
                    len(
                        environment.ada.call("GET", f"v3/rooms/{environment.room}/joined_members")[
                            "joined"
                        ]
                    )
                    == 3
                )
            )
            environment.ada.say(
                environment.room, "holdfast run broker-restart lab reason openssl update"
            )
            await until(lambda: messages_in_room("Approval needed"), "the question")
            (question,) = messages_in_room("Approval needed")
            (root,) = messages_in_room("3 restarts on 3 hosts")
            thread = question["content"]["m.relates_to"]
            assert thread["event_id"] == root["event_id"]

            environment.ada.react(environment.room, str(question["event_id"]), APPROVE)
            await until(lambda: messages_in_room("ada asked for run"), "the refusal")
            assert harness.restarts == []

            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(harness.clock.wait, 50.0)
            await asyncio.to_thread(server.start)

            environment.bob.react(environment.room, str(question["event_id"]), APPROVE)
            await until(lambda: messages_in_room("FINISHED: "), "FINISHED")
            await until(lambda: len(logged()) == 2, "END")
            await until(lambda: messages_in_room(".png"), "the picture")
        await asyncio.to_thread(harness.launcher.join)

        assert harness.restarts == list(HOSTS)
        for part in ("Approval needed", "FINISHED: ", "3 restarts on 3 hosts", "Approved by bob"):
            assert len(messages_in_room(part)) == 1, part
        start, end = (event["content"]["body"] for event in logged())
        assert start.startswith(
            f"START - broker-restart lab by ada (matrix:{environment.ada.id}): "
        )
        assert end == f"END (FINISHED) - broker-restart lab [{harness.run}]"

    run_scenario(scenario())

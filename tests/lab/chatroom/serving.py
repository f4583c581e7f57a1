"""Serves chat for the lab: creates a Matrix environment where there is none, starts and stops its server and the bot.

Owns the files beside it: the bot's configuration and token, and the passwords for people's own clients.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import yaml

from tests.chat.servers.matrix_environment import (
    MatrixEnvironment,
    ensure_environment,
    load_environment,
    load_server,
    write_private,
)

REPOSITORY = Path(__file__).resolve().parents[3]
HOLDFAST = REPOSITORY / ".venv/bin/holdfast"
CONFIGURATION, TOKEN, PASSWORDS = "chat.yml", "bot-token", "passwords"


def make(directory: Path, site: str) -> MatrixEnvironment:
    """Create the environment, unless there is one, and write what the bot and people need; a configuration stays.

    Raises:
        NoServer: no server can be had.
    """
    ensure_environment(directory)
    environment = load_environment(directory)
    write_private(directory / TOKEN, environment.holdfast.token)
    passwords = (f"{name} {person.password}\n" for name, person in environment.people.items())
    write_private(directory / PASSWORDS, "".join(passwords))
    configuration = directory / CONFIGURATION
    if not configuration.exists():
        config = environment.config(site, {"file": str(directory / TOKEN)})
        configuration.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return environment


def serve(directory: Path, site: str, state: Path) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the bot's exit code, or the signal that ended it.

    Args:
        directory: where the environment is saved.
        site: the lab's name for itself.
        state: where runs keep their journal.

    Raises:
        NoServer: no server can be had.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    environment = make(directory, site)
    server, bot = load_server(directory), None
    try:
        server.start()
        print(instructions(environment, directory, state), flush=True)
        bot = subprocess.Popen(
            [HOLDFAST, "chat", "serve", "--config", directory / CONFIGURATION],
            cwd=REPOSITORY,
            env=os.environ | {"HOLDFAST_STATE_DIR": str(state)},
        )
        if (code := bot.wait()) < 0:
            name = signal.Signals(-code).name
            print(
                f"The bot was ended by {name}: make chat-demo starts it again, and a run goes on without it."
            )
        return abs(code)
    finally:
        # Ctrl-C reaches all three processes, and may be typed twice.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if bot is not None:
            bot.terminate()
            bot.wait()
        server.stop()


def exec_server(directory: Path) -> NoReturn:
    """Become the homeserver, in the foreground; does not return.

    Raises:
        NoServer: it is not installed.
    """
    server = load_server(directory)
    command = server.command()
    os.chdir(server.directory)
    os.execv(command[0], command)  # noqa: S606 - our own program, with no word from outside


USUAL = Path(".lab/holdfast/chat")
STEPS = (
    ("ada", "holdfast plan rabbitmq-restart", "", "what a run would do; touches nothing"),
    ("ada", "holdfast run rabbitmq-restart reason openssl update", "", "a thread begins"),
    ("bob", "holdfast approve", "--thread ", "or click on the first emoji below the question"),
    ("ada", "holdfast status", "--thread ", "where it stands"),
    ("ada", "holdfast abort", "--thread ", "the host in hand is finished, then it stops"),
    ("ada", "holdfast resume reason go on", "--thread ", "repeats nothing that is done"),
)


def instructions(environment: MatrixEnvironment, directory: Path, state: Path) -> str:
    """Return what to do now, with a Matrix client or in a terminal."""
    where = directory.relative_to(REPOSITORY) if directory.is_relative_to(REPOSITORY) else directory
    client = "tests/lab/chat" + f" --in {where}" * (where != USUAL)
    port = environment.ada.url.rpartition(":")[2]
    typed = "\n".join(
        f"  {who}  {text:<54}{'in the thread: ' * bool(thread)}{about}"
        for who, text, thread, about in STEPS
    )
    lines = "\n".join(f"  {client} say {thread}{who} '{text}'" for who, text, thread, _ in STEPS)
    return f"""
Chat is served until Ctrl-C, and keeps its rooms in {where}. A run that was begun goes on without it.

With a Matrix client, such as Element:
  homeserver  {environment.ada.url}    (from elsewhere: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE)
  users       ada, who may run; bob, who may approve
  passwords   {where / PASSWORDS}
  rooms       operations; log has a line for each beginning and end

What to type in operations, one after the other:
{typed}
Outside of its thread a run's id follows: holdfast abort RUN.
What is suggested for a terminal needs the demo's state there: export HOLDFAST_STATE_DIR={state} HOLDFAST_SITE=lab

The same from a second terminal, without such a client:
{lines}
  {client} read           what was said; --until FINISHED: as it is said
"""

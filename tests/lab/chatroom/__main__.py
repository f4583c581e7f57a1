"""The program behind tests/lab/chat."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx

from tests.chat.servers.house import House, house_in
from tests.chat.servers.synapse import NoServer
from tests.lab.chatroom import serving
from tests.lab.chatroom.picture import picture
from tests.lab.chatroom.transcript import Said, messages, newest_thread, since_asked

LAB = os.environ.get("LAB_NAME") or "holdfast"
LAB_DIR = Path(os.environ.get("LAB_DIR") or serving.REPOSITORY / ".lab" / LAB)
LOOK_SECONDS = 0.5


def say(house: House, arguments: argparse.Namespace) -> int:
    """Say it, as that person."""
    more = {}
    if arguments.thread:
        thread = newest_thread(messages(house.events()))
        if not thread:
            sys.exit("chat: there is no thread yet")
        more = {"m.relates_to": {"rel_type": "m.thread", "event_id": thread[0].ident}}
    house.people[arguments.who].say(house.room, arguments.text, **more)
    return 0


def read(house: House, arguments: argparse.Namespace) -> int:
    """Print what was said; with ``--until``, as it is said, until the bot said that."""
    shown: set[str] = set()
    end = time.monotonic() + arguments.seconds
    while True:
        said = messages(house.events())
        for each in said:
            if each.ident not in shown:
                print(drawn(each), flush=True)
        shown |= {each.ident for each in said}
        wanted = arguments.until
        if not wanted or any(wanted in each.text for each in since_asked(said, "holdfast")):
            return 0
        if time.monotonic() > end:
            sys.exit(f"chat: nobody said {wanted!r} within {arguments.seconds:g} s")
        threading.Event().wait(LOOK_SECONDS)


def dump(house: House, _: argparse.Namespace) -> int:
    """Print both rooms as JSON: their messages, and every event as the server keeps it."""
    events = {"room": house.events(), "log": house.logged()}
    told = {name: [asdict(each) for each in messages(found)] for name, found in events.items()}
    print(json.dumps({**told, "events": events}))
    return 0


def draw(house: House, _: argparse.Namespace) -> int:
    """Print a picture of the newest thread."""
    print(picture(newest_thread(messages(house.events()))), end="")
    return 0


def drawn(said: Said) -> str:
    """Return a message as a terminal shows it; what stands in a thread is indented."""
    margin = "    " * bool(said.thread)
    head = f"{margin}{said.moment.astimezone():%H:%M:%S} {said.by}{' (edited)' * bool(said.edits)}"
    return "\n".join([head, *(f"{margin}  {line}" for line in said.text.splitlines()), ""])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ``does`` is what to do with the house."""
    parser = argparse.ArgumentParser(
        prog="tests/lab/chat",
        description="Chat for the lab: serve it, say something there, read it.",
        epilog="`make chat-demo` serves it with everything that it needs. Which lab: LAB_NAME, LAB_DIR.",
    )
    parser.add_argument(
        "--in", dest="directory", type=Path, default=LAB_DIR / "chat", metavar="DIRECTORY",
        help="where the house is kept (default: %(default)s)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    talk = commands.add_parser("say", help="say something in the room")
    talk.add_argument("who", choices=["ada", "bob"], help="ada may run, bob may approve")
    talk.add_argument("text", help="such as 'holdfast help'")
    talk.add_argument("--thread", action="store_true", help="in the newest run's thread")
    talk.set_defaults(does=say)
    listen = commands.add_parser("read", help="print what was said in the room")
    listen.add_argument("--until", metavar="WORDS", help="go on until the bot answers with these")
    listen.add_argument("--seconds", type=float, default=600, help="but no longer than this")
    listen.set_defaults(does=read)
    commands.add_parser("dump", help="print both rooms as JSON").set_defaults(does=dump)
    commands.add_parser(
        "draw", help="print a picture of the newest run's thread, as SVG"
    ).set_defaults(does=draw)
    commands.add_parser("serve", help="serve chat until Ctrl-C: the homeserver and the bot")
    commands.add_parser("make", help="make the house: server, people, rooms, configuration")
    commands.add_parser("server", help="run the house's homeserver alone, until SIGTERM")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; returns the exit code."""
    directory: Path = arguments.directory.absolute()
    if arguments.command == "serve":
        return serving.serve(directory, LAB, LAB_DIR / "state", client(arguments))
    if arguments.command == "make":
        serving.make(directory, LAB)
        return 0
    if arguments.command == "server":
        serving.become_the_server(directory)
    code: int = arguments.does(house_in(directory), arguments)
    return code


def client(arguments: argparse.Namespace) -> str:
    """Return how this program is called for the same house."""
    usual = arguments.directory == serving.REPOSITORY / ".lab/holdfast/chat"
    return (
        "tests/lab/chat" if usual else f"tests/lab/chat --in {serving.shown(arguments.directory)}"
    )


def main(argv: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    arguments = parse(argv)
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return 0
    except FileNotFoundError as error:
        sys.exit(f"chat: {error.filename} is not there: make chat-demo makes it")
    except httpx.TransportError as error:
        sys.exit(f"chat: {error}: make chat-demo serves it")
    except (NoServer, OSError, httpx.HTTPError) as error:
        sys.exit(f"chat: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The program behind tests/lab/chat."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import httpx

from tests.chat.servers.house import house_in
from tests.chat.servers.synapse import NoServer
from tests.lab.chatroom import serving
from tests.lab.chatroom.picture import picture
from tests.lab.chatroom.transcript import Said, messages, newest_thread, since_asked

LAB = os.environ.get("LAB_NAME") or "holdfast"
LAB_DIR = Path(os.environ.get("LAB_DIR") or serving.REPOSITORY / ".lab" / LAB)
LOOK_SECONDS = 0.5


def say(arguments: argparse.Namespace) -> int:
    """Say it, as that person."""
    house, more = house_in(arguments.directory), {}
    if arguments.thread:
        thread = newest_thread(messages(house.events()))
        if not thread:
            sys.exit("chat: there is no thread yet")
        more = {"m.relates_to": {"rel_type": "m.thread", "event_id": thread[0].ident}}
    house.people[arguments.who].say(house.room, arguments.text, **more)
    return 0


def read(arguments: argparse.Namespace) -> int:
    """Print what was said; with ``--until``, as it is said, until the bot has answered with that."""
    house, shown = house_in(arguments.directory), set[str]()
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


def dump(arguments: argparse.Namespace) -> int:
    """Print both rooms as JSON: their messages, and every event as the server keeps it."""
    house = house_in(arguments.directory)
    events = {"room": house.events(), "log": house.logged()}
    told = {name: [asdict(each) for each in messages(found)] for name, found in events.items()}
    print(json.dumps({**told, "events": events}))
    return 0


def draw(arguments: argparse.Namespace) -> int:
    """Print a picture of the newest thread."""
    print(picture(newest_thread(messages(house_in(arguments.directory).events()))), end="")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve the lab's chat."""
    return serving.serve(arguments.directory, LAB, LAB_DIR / "state")


def make(arguments: argparse.Namespace) -> int:
    """Make the house."""
    serving.make(arguments.directory, LAB)
    return 0


def server(arguments: argparse.Namespace) -> int:
    """Become the house's server."""
    serving.become_the_server(arguments.directory)


def drawn(said: Said) -> str:
    """Return a message as a terminal shows it; what stands in a thread is indented."""
    margin = "    " * bool(said.thread)
    head = f"{margin}{said.moment.astimezone():%H:%M:%S} {said.by}{' (edited)' * bool(said.edits)}"
    return "\n".join([head, *(f"{margin}  {line}" for line in said.text.splitlines()), ""])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ``does`` is what to do with them."""
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

    def command(does: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(does.__name__, help=about)
        added.set_defaults(does=does)
        return added

    talk = command(say, "say something in the room")
    talk.add_argument("who", choices=["ada", "bob"], help="ada may run, bob may approve")
    talk.add_argument("text", help="such as 'holdfast help'")
    talk.add_argument("--thread", action="store_true", help="in the newest run's thread")
    listen = command(read, "print what was said in the room")
    listen.add_argument("--until", metavar="WORDS", help="go on until the bot answers with these")
    listen.add_argument("--seconds", type=float, default=600, help="but no longer than this")
    command(dump, "print both rooms as JSON")
    command(draw, "print a picture of the newest run's thread, as SVG")
    command(serve, "serve chat until Ctrl-C: the homeserver and the bot")
    command(make, "make the house, unless there is one: server, people, rooms, configuration")
    command(server, "run the house's homeserver alone, until SIGTERM")
    arguments = parser.parse_args(argv)
    arguments.directory = arguments.directory.absolute()
    return arguments


def main(argv: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    arguments = parse(argv)
    try:
        code: int = arguments.does(arguments)
    except KeyboardInterrupt:
        return 0
    except FileNotFoundError as error:
        sys.exit(f"chat: {error.filename} is not there: make chat-demo makes it")
    except httpx.TransportError as error:
        sys.exit(f"chat: {error}: make chat-demo serves it")
    except (NoServer, OSError, httpx.HTTPError) as error:
        sys.exit(f"chat: {error}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

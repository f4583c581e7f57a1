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

from requests.exceptions import ConnectionError as NotConnected
from requests.exceptions import Timeout

from tests.chat.servers.matrix_environment import load_environment
from tests.chat.servers.synapse import ServerUnavailable
from tests.lab.chatroom import serving
from tests.lab.chatroom.picture import picture
from tests.lab.chatroom.transcript import TranscriptMessage, messages, newest_thread, since_asked

LAB = os.environ.get("LAB_NAME") or "holdfast"
LAB_DIR = Path(os.environ.get("LAB_DIR") or serving.REPOSITORY / ".lab" / LAB)
POLL_SECONDS = 0.5


def say(arguments: argparse.Namespace) -> int:
    """Write a message as that person."""
    environment, more = load_environment(arguments.directory), {}
    if arguments.thread:
        thread = newest_thread(messages(environment.events()))
        if not thread:
            sys.exit("chat: there is no thread yet")
        more = {"m.relates_to": {"rel_type": "m.thread", "event_id": thread[0].event_id}}
    environment.people[arguments.who].say(environment.room, arguments.text, **more)
    return 0


def read(arguments: argparse.Namespace) -> int:
    """Print the room's messages; with ``--until``, as they arrive, until the bot answers with that text."""
    environment, shown = load_environment(arguments.directory), set[str]()
    end = time.monotonic() + arguments.seconds
    while True:
        posted = messages(environment.events())
        for each in posted:
            if each.event_id not in shown:
                print(format_message(each), flush=True)
        shown |= {each.event_id for each in posted}
        awaited = arguments.until
        if not awaited or any(awaited in each.text for each in since_asked(posted, "holdfast")):
            return 0
        if time.monotonic() > end:
            sys.exit(f"chat: the bot did not answer {awaited!r} within {arguments.seconds:g} s")
        threading.Event().wait(POLL_SECONDS)


def dump(arguments: argparse.Namespace) -> int:
    """Print both rooms as JSON: their messages, and every event as the server stores it."""
    environment = load_environment(arguments.directory)
    events = {"room": environment.events(), "log": environment.log_events()}
    transcripts = {
        name: [asdict(each) for each in messages(found)] for name, found in events.items()
    }
    print(json.dumps({**transcripts, "events": events}))
    return 0


def draw(arguments: argparse.Namespace) -> int:
    """Print a picture of the newest thread."""
    print(picture(newest_thread(messages(load_environment(arguments.directory).events()))), end="")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve the lab's chat."""
    return serving.serve(arguments.directory, LAB, LAB_DIR / "state")


def make(arguments: argparse.Namespace) -> int:
    """Create the Matrix environment."""
    serving.make(arguments.directory, LAB)
    return 0


def server(arguments: argparse.Namespace) -> int:
    """Become the homeserver."""
    serving.exec_server(arguments.directory)


def format_message(message: TranscriptMessage) -> str:
    """Return a message as a terminal shows it; a thread is indented."""
    margin = "    " * bool(message.thread)
    head = f"{margin}{message.moment.astimezone():%H:%M:%S} {message.by}{' (edited)' * bool(message.edits)}"
    return "\n".join([head, *(f"{margin}  {line}" for line in message.text.splitlines()), ""])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ``does`` is what to do with them."""
    parser = argparse.ArgumentParser(
        prog="tests/lab/chat",
        description="Chat for the lab: serve it, say something there, read it.",
        epilog="`make chat-demo` serves it with everything that it needs. Which lab: LAB_NAME, LAB_DIR.",
    )
    parser.add_argument(
        "--in", dest="directory", type=Path, default=LAB_DIR / "chat", metavar="DIRECTORY",
        help="where the Matrix environment is saved (default: %(default)s)",
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
    command(make, "create homeserver, people, rooms and configuration, unless they exist")
    command(server, "run the homeserver alone, until SIGTERM")
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
    except (NotConnected, Timeout) as error:
        sys.exit(f"chat: {error}: make chat-demo serves it")
    except (ServerUnavailable, OSError) as error:
        sys.exit(f"chat: {error}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

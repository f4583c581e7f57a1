"""A play that is stopped before any process of it has started."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path
from types import SimpleNamespace

from holdfast.ansible.interfaces import Play
from holdfast.ansible.play_runner import Events, _PlayDirectory, _Prepared, _StartedPlay


def test_a_hard_stop_before_the_first_process_is_not_lost(tmp_path: Path) -> None:
    """There is nothing to end yet: what starts then would go on with its hosts to the end of the play."""
    events = Events()
    ended, asked = threading.Event(), count()
    ended_early: list[bool] = []

    def end_processes() -> None:
        if next(asked):  # the first time there is none
            ended.set()
        events.put({})

    def run() -> None:
        events.put({})
        ended_early.append(ended.wait(1))
        events.put({})

    runner = SimpleNamespace(run=run, rc=254, status="failed")
    play = Play("r1", "0001-roll", "unit_restart.yml", "site", ("a",))
    prepared = _Prepared(runner, events)
    started = _StartedPlay(play, _PlayDirectory(tmp_path), prepared, end_processes, [])

    result = started.watch(lambda _: None, lambda: True)

    assert (result.status, ended_early) == ("interrupted", [True])


def test_a_parked_play_in_which_a_task_has_failed_gets_no_word(tmp_path: Path) -> None:
    """Its process only ends: with the word given, what it asked before would hold the run."""
    events, ended = Events(), threading.Event()
    events.put({"event": "runner_on_failed", "event_data": {"host": "a", "res": {"msg": "no"}}})
    runner = SimpleNamespace(run=lambda: ended.wait(10), rc=2, status="failed")
    place = _PlayDirectory(tmp_path)
    place.open_word()
    play = Play("r1", "0001-roll-next", "unit_restart.yml", "site", ("a",))
    parked = _StartedPlay(play, place, _Prepared(runner, events), ended.set, [])

    assert parked.go({}, lambda _: None, lambda: False) is None
    assert not list(tmp_path.glob("park*"))

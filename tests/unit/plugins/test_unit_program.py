"""The program that acts on a unit on its host; what it did is counted there, by systemctl or the command."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast import unit_program
from holdfast.errors import OutcomeUnknown
from holdfast.unit_program import (
    NOT_BEGUN,
    Clock,
    Limits,
    ProgramAnswer,
    command_result,
    parse,
    restart_result,
    shown,
)
from tests.unit.plugins.fake_hosts import FakeHosts

LONG = 36_000
"""Seconds: parameters of tests are made when the suite begins."""
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def limits(
    seconds: float = 60.0,
    *,
    prepared: float = -0.5,
    boot: str = BOOT,
    run: str = "R1",
    service: str = "cron",
) -> Limits:
    """Return the limits of an act on this machine, in seconds from now."""
    now = Clock(boot, int(time.clock_gettime(time.CLOCK_BOOTTIME) * 100))
    read, until = now.after(timedelta(seconds=prepared)), now.after(timedelta(seconds=seconds))
    return Limits("cron.service", read, until, service, run)


def command(
    hosts: FakeHosts, expect: str = "start0", *, within: float = 30, when: Limits | None = None
) -> list[str]:
    return unit_program.restart(within, when or limits(), expect)


def restart(
    hosts: FakeHosts, expect: str = "start0", *, within: float = 30, when: Limits | None = None
) -> ProgramAnswer:
    return ask(hosts, command(hosts, expect, within=within, when=when))


def ask(hosts: FakeHosts, argv: list[str]) -> ProgramAnswer:
    return parse(hosts.run(argv).stdout)


def test_a_unit_with_the_intended_invocation_id_is_restarted(hosts: FakeHosts) -> None:
    it = restart(hosts)
    assert hosts.restarts == ["cron.service"]
    assert it.end == "done"
    assert it.before is not None
    assert it.after is not None
    assert (it.before.invocation_id, it.after.invocation_id) == ("start0", "start1")
    assert it.after.active_state == "active"


def test_a_unit_with_another_invocation_id_is_not_restarted(hosts: FakeHosts) -> None:
    it = restart(hosts, expect="older")
    assert hosts.restarts == []
    result = restart_result(it)
    known = (result["failed"], result["changed"], result["already_restarted"], result["after"])
    assert known == (False, False, True, "start0")
    assert "restarted since the intent" in result["msg"]


def test_a_unit_that_never_ran_is_started(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="inactive", SubState="dead", InvocationID="")
    it = restart(hosts, expect="")
    assert (hosts.restarts, it.end) == (["cron.service"], "done")


def test_a_unit_with_a_job_in_progress_is_not_restarted(hosts: FakeHosts) -> None:
    hosts.set_unit(Job="4711", ActiveState="deactivating", SubState="stop-sigterm")
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    result = restart_result(it)
    assert (result["failed"], result["changed"]) == (True, False)
    assert "a job in progress" in result["msg"]
    assert result["msg"].endswith(NOT_BEGUN)


@pytest.mark.parametrize("state", ["not-found", "masked", "bad-setting"])
def test_a_unit_that_cannot_run_is_not_restarted(hosts: FakeHosts, state: str) -> None:
    hosts.set_unit(LoadState=state, ActiveState="inactive", InvocationID="")
    it = restart(hosts, expect="")
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert f"its load state is {state}" in it.message


def test_a_restart_that_fails_is_reported_and_not_repeated(hosts: FakeHosts) -> None:
    hosts.set_output(
        broken="",
        journal="connecting to rabbit://nova:hunter2@ctl1:5672/\nno route to host\nPassword: 'x'\n",
    )
    done = hosts.run(command(hosts))
    it = parse(done.stdout)
    assert hosts.restarts == ["cron.service"], "a restart is never tried again"
    assert it.end == "failed"
    assert str(it.after) == "cron.service is failed (failed), result exit-code"
    text = "\n".join(it.output)
    for part in (
        "control process exited",
        "no route to host",
        "rabbit://nova:***@ctl1",
        "Password: ***",
    ):
        assert part in text
    assert "hunter2" not in done.stdout + done.stderr
    result = restart_result(it)
    assert (result["failed"], result["changed"], result["after"]) == (True, True, "start0")
    assert result["msg"].startswith("the restart failed, cron.service is failed (failed), result")
    assert "\n  no route to host" in result["msg"]


def test_the_wait_for_systemd_is_limited(hosts: FakeHosts) -> None:
    hosts.set_output(duration="30")
    it = restart(hosts, within=0.3)
    assert (it.end, it.timed_out, it.rc) == ("failed", True, None)


def test_the_wait_for_the_lock_is_limited(hosts: FakeHosts) -> None:
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = restart(hosts, within=0.2)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "another act on cron.service still held" in it.message


def test_a_lock_that_cannot_be_taken_is_not_said_to_be_held(hosts: FakeHosts) -> None:
    hosts.set_output(flock="#!/bin/sh\necho 'flock: 9: No locks available' >&2; exit 71\n")
    (hosts.directory / "bin" / "flock").chmod(0o755)
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "cron.service.lock cannot be locked: flock ended with 71: flock: 9: No" in it.message


def test_two_processes_with_the_same_intent_restart_the_unit_once(hosts: FakeHosts) -> None:
    hosts.set_output(duration="0.5")
    both = [hosts.start(command(hosts)) for _ in range(2)]
    answers = [parse(process.communicate(timeout=60)[0]) for process in both]
    assert hosts.restarts == ["cron.service"]
    assert sorted(each.end for each in answers) == ["already_restarted", "done"]


def test_reading_changes_nothing(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="failed", SubState="failed", Result="signal")
    it = ask(hosts, unit_program.read("cron"))
    assert (hosts.restarts, it.end) == ([], "read")
    assert str(it.before) == "cron.service is failed (failed), result signal"
    assert it.clock.boot == BOOT
    assert list(hosts.locks.iterdir()) == [hosts.locks / "cron.mark"]


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"LoadState": "bad-setting"}, "its load state is bad-setting"),
        ({"LoadState": "masked", "ActiveState": "failed"}, "its load state is masked"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_unit_that_cannot_be_read_after_its_restart_was_restarted(
    hosts: FakeHosts, after: dict[str, str], why: str, fails: bool
) -> None:
    hosts.set_unit_after_restart(**after)
    if fails:
        hosts.set_output(broken="")
    it = restart(hosts)
    assert hosts.restarts == ["cron.service"]
    assert (it.end, it.rc, it.after) == ("unreadable", int(fails), None)
    result = restart_result(it)
    known = (result["failed"], result["changed"], result["before"], result["after"])
    assert known == (True, True, "start0", "")
    assert NOT_BEGUN not in result["msg"]
    ended = "which failed: Job for" if fails else "which reported success"
    for part in ("`systemctl restart cron.service` was run", ended, "is not known", why):
        assert part in result["msg"]


def test_a_systemd_that_does_not_answer_after_the_restart_is_named(hosts: FakeHosts) -> None:
    hosts.set_output(slow_show_after_restart="")
    hosts.answer_seconds = "1.5"
    it = restart(hosts)
    assert (hosts.restarts, it.end) == (["cron.service"], "unreadable")
    assert "`systemctl show cron.service` gave no answer" in it.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has no mark of run R1 any more"),
        ("broken", "cannot be read"),
        ("another", "marked by another run, R2 of ada"),
        ("expired", "the mark of run R1 on this host has expired"),
    ],
)
def test_a_host_without_the_mark_of_the_run_is_not_touched(
    hosts: FakeHosts, text: str | None, why: str
) -> None:
    """Another run, with a state database of its own, may act."""
    hosts.mark("R2" if text == "another" else "R1", 0 if text == "expired" else 60)
    if text is None:
        (hosts.locks / "cron.mark").unlink()
    elif text == "broken":
        (hosts.locks / "cron.mark").write_text(text)
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert why in it.message


@pytest.mark.parametrize(
    ("what", "by"),
    [('"expires": ', '"expires": 1x'), ('"run": "R1"', '"run": ""'), ('"boot_id": ', '"boot": ')],
)
def test_a_mark_with_a_damaged_field_permits_nothing(hosts: FakeHosts, what: str, by: str) -> None:
    mark = hosts.locks / "cron.mark"
    mark.write_text(mark.read_text().replace(what, by))
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "cannot be read" in it.message


def test_a_unit_that_has_another_name_since_the_intent_is_not_touched(hosts: FakeHosts) -> None:
    """The lock has the unit's name, and another run would take another one."""
    hosts.set_unit(Id="cronie.service")
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "cron.service has become another name of cronie.service" in it.message


def test_a_mark_is_read_whatever_people_have_written_into_it(hosts: FakeHosts) -> None:
    """Names and reasons are JSON: what looks like a field of the mark is none."""
    hostile = '", "run": "R2", "boot_id": "x", "expires": 1}'
    hosts.mark("R1", by=hostile, reason=hostile)
    assert restart(hosts).end == "done"
    hosts.mark("R2", by=hostile.replace("R2", "R1"), reason=hostile)
    assert "marked by another run, R2 of " in restart(hosts, expect="start1").message


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (limits(-1), "too late by "),
        (limits(LONG, boot="another"), "booted since the intent"),
    ],
)
def test_after_the_lease_a_unit_is_not_restarted(hosts: FakeHosts, when: Limits, why: str) -> None:
    it = restart(hosts, when=when)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert why in it.message


def test_time_that_passes_before_the_lock_is_had_counts(hosts: FakeHosts) -> None:
    """Two with the same intent; the first is still at work when the second is too late."""
    hosts.set_output(duration="0.8")
    first = hosts.start(command(hosts))
    while not hosts.restarts:
        assert first.poll() is None
    late = restart(hosts, expect="start1", when=limits(0.3))
    first.communicate(timeout=60)
    assert hosts.restarts == ["cron.service"]
    assert "too late" in late.message


def observe(hosts: FakeHosts, seconds: float = 5) -> ProgramAnswer:
    return ask(hosts, unit_program.observe("cron", seconds))


def test_an_observation_waits_for_a_restart_in_progress(hosts: FakeHosts) -> None:
    hosts.set_output(duration="0.5")
    first = hosts.start(command(hosts))
    while not hosts.restarts:
        assert first.poll() is None
    seen = observe(hosts)
    first.communicate(timeout=60)
    assert seen.before is not None
    assert seen.before.invocation_id == "start1"


def test_an_act_whose_shell_was_killed_keeps_the_lock_until_it_ends(hosts: FakeHosts) -> None:
    """As where its connection has broken: an observation must not come before what the act still does."""
    record = hosts.directory / "record"
    script = f"echo run >> {record}; sleep 1; setsid sleep 9 & echo $! >> {record}"
    sent = unit_program.command(20, limits(), ["sh", "-c", script])
    shell = hosts.start(sent)
    while not times(hosts):
        assert shell.poll() is None
    shell.kill()
    assert "another act on cron.service still held" in observe(hosts, 0.1).message
    assert observe(hosts).end == "read"
    os.kill(int(record.read_text().split()[1]), signal.SIGKILL)
    shell.communicate(timeout=60)


def test_an_observation_that_waits_in_vain_has_no_result(hosts: FakeHosts) -> None:
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = observe(hosts, 0.2)
    assert f"find /proc/[0-9]*/fd -lname {hosts.locks}/cron.service.lock" in it.message
    assert (it.end, it.before) == ("not_begun", None)
    assert "another act on cron.service still held" in it.message


def test_after_an_observation_an_act_that_was_intended_before_it_is_not_begun(
    hosts: FakeHosts,
) -> None:
    """What outlived its play comes after "not restarted" was journaled."""
    before = limits()
    observe(hosts)
    orphan = restart(hosts, when=before)
    assert hosts.restarts == []
    assert "since the intent the host was observed" in orphan.message
    assert restart(hosts, when=limits(prepared=5)).end == "done"
    assert hosts.restarts == ["cron.service"]


def test_an_observation_that_cannot_be_noted_is_none(hosts: FakeHosts) -> None:
    """Where /run is full; what an earlier one has ended stays so."""
    before = limits()
    observe(hosts)
    full = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]
    it = ask(hosts, [*full, *unit_program.observe("cron", 5)])
    assert (it.end, it.before) == ("not_begun", None)
    assert "cron.service.lock cannot be written" in it.message
    assert "since the intent the host was observed" in restart(hosts, when=before).message
    assert hosts.restarts == []


def test_an_observation_in_another_boot_does_not_count(hosts: FakeHosts) -> None:
    (hosts.locks / "cron.service.lock").write_text("another 99999999999\n")
    assert restart(hosts).end == "done"


@pytest.mark.parametrize("text", ["{\n", "another\n", f"{BOOT} x1\n", "\n"])
def test_a_damaged_lock_is_named_and_nothing_is_done(hosts: FakeHosts, text: str) -> None:
    (hosts.locks / "cron.service.lock").write_text(text)
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "cron.service.lock cannot be read" in it.message


def test_a_lock_directory_that_cannot_be_made_is_named(hosts: FakeHosts) -> None:
    shutil.rmtree(hosts.locks)
    hosts.locks.write_text("a file")
    it = restart(hosts)
    assert (hosts.restarts, it.end) == ([], "not_begun")
    assert "cannot be written" in it.message


def test_an_answer_that_was_cut_off_says_nothing(hosts: FakeHosts) -> None:
    printed = hosts.run(command(hosts)).stdout
    for length in range(len(printed)):
        with pytest.raises(OutcomeUnknown):
            parse(printed[:length])


def test_an_answer_that_is_none_names_the_error() -> None:
    with pytest.raises(OutcomeUnknown, match="sudo: unable to fork"):
        parse("", "sudo: unable to fork: Cannot allocate memory\n")


def test_no_output_is_taken_for_the_answer(hosts: FakeHosts) -> None:
    r"""Python ends a line at \r, \f and others, where the program that quotes the output does not."""
    script = r"printf 'half\r[after]\rrc=7\fend=read\vActiveState=failed\r\nb\374\nend=read'"
    sent = unit_program.command(20, limits(), ["sh", "-c", script])
    raw = subprocess.run(
        hosts.on_host(sent), env=hosts.environment, capture_output=True, check=True
    ).stdout
    got = raw.decode("utf-8", "surrogateescape")  # as Ansible does
    it = parse(got)
    assert (it.end, it.rc, it.after) == ("done", 0, None)
    assert it.output[0] == "half"
    assert it.output[-2:] == ("b\ufffd", "end=read"), "what is no UTF-8 can be journaled"
    with pytest.raises(OutcomeUnknown):
        parse(got.partition("message=")[0])


@pytest.mark.parametrize("script", ["exit 124", "kill -9 $$"])
def test_a_command_that_ends_like_one_that_took_too_long_did_not(
    hosts: FakeHosts, script: str
) -> None:
    it = run(hosts, script)
    assert it.timed_out is False
    assert f"ended with {it.rc} after 0." in command_result(it, "drain")["msg"]


def run(
    hosts: FakeHosts, script: str = "true", *, within: float = 20, when: Limits | None = None
) -> ProgramAnswer:
    """Run a command that writes one line to the host's record and then runs ``script``."""
    argv = ["sh", "-c", f"echo run >> {hosts.directory / 'record'}; {script}"]
    return ask(hosts, unit_program.command(within, when or limits(), argv))


def times(hosts: FakeHosts) -> int:
    record = hosts.directory / "record"
    return len(record.read_text().splitlines()) if record.exists() else 0


@pytest.mark.parametrize("status", [0, 69])
def test_how_a_command_ends_is_evidence(hosts: FakeHosts, status: int) -> None:
    it = run(hosts, f"echo out; echo 'quorum: no' >&2; exit {status}")
    assert times(hosts) == 1
    result = command_result(it, "drain")
    assert (result["failed"], result["changed"], result["rc"]) == (False, True, status)
    assert result["output"] == ["out", "quorum: no"]
    assert result["msg"].startswith(f"`drain` ended with {status} after 0.")
    assert result["msg"].endswith(": quorum: no")


def test_a_program_in_a_command_is_not_shown() -> None:
    """It would bury what the program said."""
    assert shown(["sh", "-c", "set -u\nexit 1\n", "holdfast", "drop", "a b"]) == (
        "sh -c … holdfast drop 'a b'"
    )


def test_a_command_that_takes_too_long_is_ended_with_its_children(hosts: FakeHosts) -> None:
    late = hosts.directory / "late"
    it = run(hosts, f"echo begun; (sleep 0.9; touch {late}) & sleep 30", within=0.3)
    assert (it.rc, it.timed_out, it.output) == (None, True, ("begun",))
    hosts.run(["sleep", "0.8"])  # by now its child would have written
    assert not late.exists()


def test_what_a_command_leaves_behind_is_not_waited_for(hosts: FakeHosts) -> None:
    it = run(hosts, "setsid sleep 20 & echo $!")
    os.kill(int(it.output[0]), signal.SIGKILL)
    assert (it.rc, it.timed_out) == (0, False)
    assert it.seconds < 10


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (limits(-1), "too late"),
        (limits(LONG, boot="another"), "booted since the intent"),
        (limits(LONG, run="R2"), "marked by another run, R1 of ada"),
        (limits(LONG, service=""), "does not say which mark"),
    ],
)
def test_a_command_that_may_not_begin_is_not_run(hosts: FakeHosts, when: Limits, why: str) -> None:
    it = run(hosts, when=when)
    assert (times(hosts), it.end) == (0, "not_begun")
    assert why in it.message


def test_a_command_that_is_not_there_is_named(hosts: FakeHosts) -> None:
    sent = unit_program.command(5, limits(), ["no-such-program"])
    it = ask(hosts, sent)
    assert (it.end, it.message) == ("not_begun", "no-such-program is not found on the host")


def test_a_command_waits_for_another_act_on_the_unit_for_a_limited_time(hosts: FakeHosts) -> None:
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = run(hosts, within=0.1)
    assert times(hosts) == 0
    assert "another act on cron.service still held" in it.message


def test_secrets_of_rabbitmq_are_masked(hosts: FakeHosts) -> None:
    """As it prints its configuration where it cannot start, and as its file has them."""
    term = '[{default_user,<<"nova">>},{default_pass,<<"hunter2, 3">>},{vhost,"/"}]'
    it = run(hosts, f"echo '{term}'; echo default_pass = hunter2")
    told = '[{default_user,<<"nova">>},{default_pass,***},{vhost,"/"}]'
    assert it.output == (told, "default_pass = ***")


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("mysql --password hunter2 -h db", "mysql --password *** -h db"),
        ("nova --os-token hunter2", "nova --os-token ***"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("authorization: hunter2", "authorization: ***"),
        ('{"Authorization": "Basic hunter2"}', '{"Authorization": "Basic ***"}'),
        ("X-Auth-Token: hunter2", "X-Auth-Token: ***"),
        ("the password is wrong", "the password is wrong"),
    ],
)  # fmt: skip
def test_secrets_of_options_and_headers_are_masked(
    hosts: FakeHosts, printed: str, told: str
) -> None:
    assert run(hosts, f"echo '{printed}'").output == (told,)


@pytest.mark.parametrize(
    ("uptime", "hundredths"),
    [("7.08", 708), ("123.45", 12345), ("123.4", 12340), ("123", 12300), ("123.456789", 12345), ("0.09", 9)],
)  # fmt: skip
def test_the_clock_is_read_with_any_number_of_decimals(
    hosts: FakeHosts, uptime: str, hundredths: int
) -> None:
    file = hosts.directory / "uptime"
    file.write_text(f"{uptime} 1.00\n")
    asked = [each.replace("/proc/uptime", str(file)) for each in unit_program.read("cron")]
    assert ask(hosts, asked).clock.hundredths == hundredths


@pytest.mark.parametrize("act", [unit_program.observe("cron", 5), None])
def test_what_a_killed_shell_left_unmasked_is_removed(
    hosts: FakeHosts, act: list[str] | None
) -> None:
    left = hosts.locks / "cron.service.output"
    left.write_text("password=hunter2")
    ask(hosts, act or command(hosts, "older"))  # which is not begun
    assert not left.exists()


def test_a_secret_that_is_no_utf_8_is_masked_to_its_end(hosts: FakeHosts) -> None:
    it = run(hosts, r"printf 'password=h\374nter2 rabbit://nova:h\374nter2@ctl1/\n'")
    assert it.output == ("password=*** rabbit://nova:***@ctl1/",)


def test_secrets_in_its_output_are_masked_and_long_output_is_cut(hosts: FakeHosts) -> None:
    it = run(
        hosts,
        "seq 9999; echo rabbit://nova:hunter2@ctl1/; echo password=hunter2 >&2; echo end=done; echo [clock]",
    )
    assert "hunter2" not in str(it)
    assert it.output[-4:] == ("rabbit://nova:***@ctl1/", "password=***", "end=done", "[clock]")
    assert 7000 < len("\n".join(it.output)) < 8001
    assert {each.name for each in hosts.locks.iterdir()} == {"cron.mark", "cron.service.lock"}

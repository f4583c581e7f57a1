"""The program that disables and enables an agent on its host, and the units in which Holdfast runs it."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.puppet_programs import (
    PREVIEW_UNIT,
    RUN_UNIT,
    disable_command,
    enable_command,
    install_command,
    unsaid,
)
from tests.fakes.puppet_host import DISABLED, RECORDED, PuppetHost

REASON = 'Ada\'s "change" of nova.conf; \\ $HOME'
OURS = {"disabled_message": f"holdfast:r1: {REASON}"}
OTHERS = '{"disabled_message":"disk, ask Eve"}'


@pytest.fixture
def host(tmp_path: Path) -> PuppetHost:
    return PuppetHost.at(tmp_path)


def lock(host: PuppetHost) -> Path:
    return host.state / DISABLED


def disable(host: PuppetHost, run: str = "r1") -> str:
    return host.run(disable_command(run, REASON, str(host.bin.parent / "run"))).stdout.strip()


def enable(host: PuppetHost, run: str = "r1") -> str:
    return host.run(enable_command(run, str(host.bin.parent / "run"))).stdout.strip()


def test_the_lock_is_made_as_puppet_makes_it_and_removed_by_its_run_alone(host: PuppetHost) -> None:
    assert disable(host) == "state=disabled"
    assert json.loads(lock(host).read_text()) == OURS
    assert lock(host).stat().st_mode & 0o777 == 0o644
    assert disable(host) == "state=ours"
    assert (enable(host, "r"), enable(host, "r10"), enable(host, "r2")) == ("state=others",) * 3
    assert json.loads(lock(host).read_text()) == OURS
    assert enable(host) == "state=enabled"
    assert enable(host) == "state=none"
    assert list(host.state.iterdir()) == []


@pytest.mark.parametrize("content", [OTHERS, "", "{", '{"disabled_message":"holdfast:r1"}'])
def test_the_lock_of_somebody_else_stays_as_it_is(host: PuppetHost, content: str) -> None:
    lock(host).write_text(content)
    assert (disable(host), enable(host)) == ("state=others", "state=others")
    assert lock(host).read_text() == content
    assert list(host.state.iterdir()) == [lock(host)]


def test_a_real_lock_of_a_run_is_enabled_by_that_run(host: PuppetHost) -> None:
    message = json.loads((RECORDED / "disabled" / DISABLED).read_text())["disabled_message"]
    run = message.removeprefix("holdfast:").partition(": ")[0]
    host.recorded("disabled")
    assert enable(host, run) == "state=enabled"


def test_of_two_that_disable_at_once_one_wins(host: PuppetHost) -> None:
    enable(host)  # what Puppet says of its files is kept
    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(lambda number: disable(host, f"r{number}"), range(4)))
    assert said == ["state=disabled", *["state=others"] * 3]


def test_a_lock_that_cannot_be_made_is_an_error(host: PuppetHost) -> None:
    enable(host)
    host.state.rmdir()
    assert disable(host).startswith("error=no lock can be made beside")


@pytest.mark.parametrize(
    ("output", "rc", "text"),
    [
        (["error=no lock", "more"], 0, "says no lock"),
        (["sh: not found"], 127, "says sh: not found"),
        ([], 1, "ended with 1, and has said nothing"),
        ([], None, "was ended after 60.0 s, and has said nothing"),
    ],
)
def test_an_answer_that_broke_off_is_not_said_to_be_one(
    output: list[str], rc: int | None, text: str
) -> None:
    assert unsaid(output, rc, 60.0) == f"the program on the host {text}"


SWAPS = f"""#!/bin/sh
printf '%s' '{OTHERS}' > "$2.new" && /bin/mv "$2.new" "$2" && exec /bin/mv "$@"
"""


def test_the_lock_of_somebody_else_is_not_moved_for_a_moment_either(host: PuppetHost) -> None:
    lock(host).write_text(OTHERS)
    enable(host)
    host.install("mv", "#!/bin/sh\nexit 1\n")
    assert enable(host) == "state=others"


def test_a_lock_that_is_exchanged_in_between_is_given_back(host: PuppetHost) -> None:
    disable(host)
    host.install("mv", SWAPS)
    assert enable(host) == "state=others"
    assert lock(host).read_text() == OTHERS
    assert list(host.state.iterdir()) == [lock(host)]


def test_a_lock_that_cannot_be_given_back_is_kept_and_named(host: PuppetHost) -> None:
    disable(host)
    host.install("mv", SWAPS)
    host.install("ln", "#!/bin/sh\nexit 1\n")
    said = enable(host)
    assert said.startswith("error=")
    [kept] = host.state.iterdir()
    assert kept.read_text() == OTHERS
    assert said.endswith(f"is kept as {kept}")


def test_a_unit_that_cannot_be_written_is_not_said_to_be_there(tmp_path: Path) -> None:
    for name in ("systemctl", "mktemp"):
        (tmp_path / name).write_text("#!/bin/sh\n[ ${0##*/} = systemctl ]\n")
        (tmp_path / name).chmod(0o755)
    command = install_command(str(tmp_path / "run"), str(tmp_path / "units"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_the_units_are_written_once_and_read_by_systemd_when_they_change(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    systemctl.chmod(0o755)
    units = tmp_path / "units"

    def install() -> str:
        command = install_command(str(tmp_path / "run"), str(units))
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout  # fmt: skip

    assert (install(), install()) == ("changed=yes\n", "changed=no\n")
    assert calls.read_text() == "daemon-reload\n"
    texts = {name: (units / name).read_text() for name in (RUN_UNIT, PREVIEW_UNIT)}
    for text in texts.values():
        assert "Type=oneshot\nRemainAfterExit=yes\n" in text, (
            "a run is a start that can be told from others"
        )
        assert f"--agent_disabled_lockfile={tmp_path}/run/puppet.none" in text
        assert "--no-usecacheonfailure --detailed-exitcodes" in text
        assert "SuccessExitStatus=2\n" in text
    assert "--noop" in texts[PREVIEW_UNIT]
    assert f"--lastrunreport={tmp_path}/run/puppet-preview.report" in texts[PREVIEW_UNIT]
    assert "noop" not in texts[RUN_UNIT]
    assert "lastrun" not in texts[RUN_UNIT]

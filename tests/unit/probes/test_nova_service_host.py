"""The script that reads by what name nova on a host goes, run here; oslo.config itself says what is right."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from oslo_config import cfg

from holdfast.errors import CannotTell
from holdfast.observations.nova import ServiceHost
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.nova.service_host import probe_service_host
from tests.unit.probes.shells import ScriptedShell
from tests.unit.probes.test_nova_host import HostShell

HOSTNAME = "rack-17"


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[int]:
    """Run a process with these arguments, and yield its number."""
    command = ["sh", "-c", "read -r _; exit", "nova-compute", *arguments]
    environ = {"PATH": "/usr/bin:/bin", **environment}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE) as running:
        while not Path(f"/proc/{running.pid}/cmdline").read_bytes():
            pass  # for a moment within its exec it has no arguments
        yield running.pid
        assert running.stdin
        running.stdin.close()


def context(tmp_path: Path, pid: int, **site: str) -> ProbeContext:
    for name, prints in (("systemctl", f"MainPID={pid}"), ("uname", HOSTNAME)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {prints}\n")
        (tmp_path / name).chmod(0o755)
    return ProbeContext("cmp1", {}, {"cmp1": site}, HostShell(tmp_path))


def found(tmp_path: Path, *arguments: str, files: Sequence[str] = (), **environment: str) -> str:
    with process(*arguments, **environment) as pid:
        return probe_service_host(context(tmp_path, pid), "nova-compute", files).name


def oslo_says(*arguments: str) -> str:
    options = cfg.ConfigOpts()
    options.register_opt(cfg.StrOpt("host", default=HOSTNAME))
    options(
        arguments, project="nova", default_config_files=[], default_config_dirs=[], use_env=False
    )
    return str(options.host)


@pytest.mark.parametrize(
    "text",
    [
        "[DEFAULT]\nhost = cmp1.example\n",
        "[DEFAULT]\nhost=cmp1\n[api]\nhost = other\n",
        "[api]\nhost = other\n[DEFAULT]\n#host = commented\n",
        "[DEFAULT]\nhost: 'quoted:name'\n",
        '[DEFAULT]\nhost = "quoted"  \n',
        "[DEFAULT]\nhost = first\n\nhost = second\n[x]\ny = 1\n[DEFAULT]\nhost = third\n",
        "[DEFAULT]\nmy_host = no\nhosts = no\nhost=\n",
        "[DEFAULT]\nallow = a,\n  host = continued\nhost = a # no comment\n",
    ],
)
def test_the_name_is_read_as_oslo_config_reads_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "nova.conf").write_text(text)
    (tmp_path / "empty").mkdir()
    arguments = [f"--config-file={tmp_path}/nova.conf", f"--config-dir={tmp_path}/empty"]
    assert found(tmp_path, *arguments) == oslo_says(*arguments)


def test_the_files_of_the_process_are_read_in_their_order(tmp_path: Path) -> None:
    for name, host in (("a", "first"), ("b", "second"), ("d/1", "third"), ("d/2", "fourth")):
        path = tmp_path / f"{name}.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[DEFAULT]\nhost = {host}\n")
    (tmp_path / "empty").mkdir()
    none = ("--config-dir", f"{tmp_path}/empty")
    both = ("--config-file", f"{tmp_path}/b.conf", f"--config-file={tmp_path}/a.conf")
    assert found(tmp_path, *both, *none) == oslo_says(*both, *none) == "first"
    more = (*both, f"--config-dir={tmp_path}/d")
    assert found(tmp_path, *more) == oslo_says(*more) == "fourth"
    assert found(tmp_path, *more, OS_DEFAULT__HOST="fifth") == "fifth"
    named = found(tmp_path, *more, files=[f"{tmp_path}/b.conf"], OS_DEFAULT__HOST="fifth")
    assert named == "second"


def test_what_the_inventory_calls_it_and_where_the_name_was_read(tmp_path: Path) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text("[DEFAULT]\nhost = one\n")
    asked = context(tmp_path, 0, nova_service_host="one")
    place = probe_service_host(asked, "nova-compute", [str(conf)])
    assert place == ServiceHost("cmp1", "one", True, "one", f"host in {conf}")
    conf.write_text("[DEFAULT]\n")
    place = probe_service_host(context(tmp_path, 0), "nova-compute", [str(conf)])
    assert place == ServiceHost("cmp1", "cmp1", False, HOSTNAME, "its hostname")


@pytest.mark.parametrize("argument", ["--config-file", "--config-dir"])
def test_what_cannot_be_read_is_not_guessed(tmp_path: Path, argument: str) -> None:
    gone = f"{tmp_path}/gone"
    with pytest.raises(
        CannotTell, match=r"cmp1: .*gone is not there or cannot be read.*nova_config_files"
    ) as caught:
        found(tmp_path, argument, gone, "--config-file", "/dev/null")
    assert caught.value.final, "no waiting makes it readable"


@pytest.mark.parametrize(
    ("process", "said"), [("", "did not report"), ("1999999", "cannot be read")]
)
def test_a_process_that_is_not_found_is_not_guessed(
    tmp_path: Path, process: str, said: str
) -> None:
    asked = context(tmp_path, 0)
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\necho MainPID={process}\n")
    with pytest.raises(CannotTell, match=said):
        probe_service_host(asked, "nova-compute", [])


def test_a_host_that_prints_nothing_names_nothing(tmp_path: Path) -> None:
    shell = ScriptedShell(CommandResult(1, "", ""))
    with pytest.raises(CannotTell, match="exit status 1"):
        probe_service_host(ProbeContext("cmp1", {}, {}, shell), "nova-compute", [])

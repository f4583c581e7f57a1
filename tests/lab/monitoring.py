"""The lab's brokers, watched by a real Icinga 2 and read by a real promtool: the plugin as docs/monitoring.md shows it.

They are Debian's packages, in a container of their own on this machine's network; everything listens on loopback.
`make monitoring` brings the lab up and runs this. It says what it saw, and exits with 1 where that was not as expected.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = os.environ.get("LAB_NAME", "holdfast-monitoring")
LAB = Path(os.environ.get("LAB_DIR", REPOSITORY / ".lab" / NAME))
WATCH = f"{NAME}-watch"
ICINGA_PORT = 15665
USER, PASSWORD = "holdfast", "lab-password-of-icinga"
PACKAGES = "icinga2-bin icinga2-common prometheus prometheus-alertmanager monitoring-plugins-basic"
CREDENTIALS = "/etc/icinga2/holdfast-rabbitmq.yml"
PODMAN = ["env", f"CONTAINERS_CONF={LAB}/containers.conf", "podman"]
if os.geteuid() != 0:
    PODMAN = ["sudo", "--non-interactive", *PODMAN]
pause = threading.Event().wait


class Unexpected(Exception):
    """What was seen is not what the documents promise."""


def podman(*arguments: str, text: str | None = None) -> str:
    """Run podman and return what it printed."""
    return subprocess.run(
        [*PODMAN, *arguments], input=text, capture_output=True, text=True, check=True
    ).stdout


def watch(*argv: str, text: str | None = None) -> str:
    """Run a command in the monitoring's container."""
    return podman(
        "exec", *(("--interactive",) if text is not None else ()), WATCH, *argv, text=text
    )


def write(path: str, text: str, mode: str = "644", owner: str = "root:root") -> None:
    """Write a file in the monitoring's container."""
    script = f"umask 077; cat > {path}; chown {owner} {path}; chmod {mode} {path}"
    watch("sh", "-c", script, text=text)


def start_container() -> None:
    """Start a container of the lab's image, and install Debian's packages in it."""
    image = podman("inspect", "--format", "{{.ImageName}}", f"{NAME}-ctl1").strip()
    base = subprocess.run(
        [REPOSITORY / ".venv/bin/python", "-c", "import sys; print(sys.base_prefix)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    python = [] if base == "/usr" else ["--volume", f"{base}:{base}:ro"]
    podman("rm", "--force", "--time=0", WATCH)
    podman(
        "run",
        "--detach",
        "--name",
        WATCH,
        "--network",
        "host",
        "--entrypoint",
        "sleep",
        "--volume",
        "/etc/apt:/etc/apt:ro",
        "--volume",
        f"{REPOSITORY}:{REPOSITORY}:ro",
        *python,
        image,
        "infinity",
    )
    install = f"apt-get -qq update && apt-get -qq --yes --no-install-recommends install {PACKAGES}"
    watch("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", f"{install} >/dev/null 2>&1")
    # Icinga's user may pass through the container's directories above what is mounted.
    above = {str(each) for path in (REPOSITORY, Path(base)) for each in path.parents}
    watch("chmod", "o+x", *sorted(above))
    write(
        "/usr/local/bin/holdfast", f'#!/bin/sh\nexec {REPOSITORY}/.venv/bin/holdfast "$@"\n', "755"
    )


def start_icinga(endpoints: list[str]) -> None:
    """Start Icinga 2 with the plugin as deploy/monitoring shows it, and an API on loopback."""
    password = (LAB / "secrets/rabbitmq_management").read_text().strip()
    write(
        CREDENTIALS,
        f"rabbitmq_management_user: admin\nrabbitmq_management_password: {password}\n",
        "640",
        "root:nagios",
    )
    watch("icinga2", "api", "setup", "--cn", "watch")
    shipped = (REPOSITORY / "deploy/monitoring/icinga2.conf").read_text()
    for interval in ("check_interval = 60s", "retry_interval = 20s"):
        shipped = shipped.replace(interval, interval.partition("=")[0] + "= 3s")
    wrong = """
object Service "rabbitmq-usage" {
  host_name = "brokers"
  check_command = "holdfast-rabbitmq"
  vars.holdfast_credentials = "/nowhere"
  check_interval = 3s
}
"""
    known = f"const HoldfastEndpoints = {json.dumps(endpoints)}\n"
    user = f'object ApiUser "{USER}" {{ password = "{PASSWORD}"; permissions = [ "*" ] }}\n'
    listener = (
        f'object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {ICINGA_PORT} }}\n'
    )
    write("/etc/icinga2/conf.d/holdfast.conf", known + shipped + wrong)
    write("/etc/icinga2/conf.d/hosts.conf", "")
    write("/etc/icinga2/conf.d/services.conf", "")
    write("/etc/icinga2/conf.d/api-users.conf", user.replace("; ", "\n"))
    write("/etc/icinga2/features-available/api.conf", listener.replace("; ", "\n"))
    watch("icinga2", "daemon", "--validate")
    watch("install", "--directory", "--owner", "nagios", "/run/icinga2")
    watch("icinga2", "daemon", "--daemonize", "--errorlog", "/var/log/icinga2/error.log")


def icinga(path: str, body: Any = None) -> Any:
    """Ask Icinga's API; its certificate is of its own authority, and it is on loopback."""
    method = "GET" if body is None else "POST"
    url = f"https://127.0.0.1:{ICINGA_PORT}/v1/{path}"
    accept = {"Accept": "application/json"}
    with httpx.Client(verify=False, auth=(USER, PASSWORD), headers=accept) as client:  # noqa: S501 - loopback
        return client.request(method, url, json=body).raise_for_status().json()


def service(name: str) -> tuple[float, str, list[str]]:
    """Return a service's state, output and performance data as Icinga has them."""
    found = icinga(f"objects/services/brokers!{name}")["results"][0]["attrs"]
    result = found["last_check_result"] or {"state": -1, "output": "", "performance_data": []}
    return result["state"], result["output"], result["performance_data"]


def until(what: str, ask: Callable[[], bool], seconds: float = 120) -> None:
    """Ask until it is so, and say how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if ask():
                print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)
                return
        except httpx.TransportError:
            pass  # it has not started yet
        pause(0.5)
    raise Unexpected(f"not within {seconds:.0f} s: {what}")


def require(what: str, so: bool) -> None:
    """Say what was seen, or end."""
    if not so:
        raise Unexpected(what)
    print(f"          {what}", flush=True)


def check_icinga() -> None:
    """Let Icinga see a cluster that is well, one with a stopped broker, and a wrong command."""
    until("Icinga 2: OK", lambda: service("rabbitmq")[0] == 0)
    _, output, perfdata = service("rabbitmq")
    print(f"          {output}")
    labels = {each.partition("=")[0].strip("'") for each in perfdata}
    wanted = {"connections", "memory_used:ctl1", "descriptors_used:ctl3", "replies_unread", "time"}
    require(f"Icinga 2 read {len(perfdata)} figures of the perfdata", wanted <= labels)
    until(
        "a file of credentials that is not there: UNKNOWN",
        lambda: service("rabbitmq-usage")[0] == 3,
    )
    podman("exec", f"{NAME}-ctl3", "systemctl", "stop", "rabbitmq-server")
    try:
        until("ctl3's broker stopped: CRITICAL", lambda: service("rabbitmq")[0] == 2)
        print(f"          {service('rabbitmq')[1]}")
    finally:
        podman("exec", f"{NAME}-ctl3", "systemctl", "start", "rabbitmq-server")
    until("started again: OK", lambda: service("rabbitmq")[0] == 0)


def check_prometheus(endpoints: list[str]) -> None:
    """Let promtool read the text, and measure the plugin."""
    options = [f"--endpoint={each}" for each in endpoints]
    command = [
        "holdfast",
        "check",
        "rabbitmq",
        "--nagios",
        *options,
        f"--credentials={CREDENTIALS}",
    ]
    plugin, file = " ".join(command), "/run/holdfast.prom"
    script = f"{plugin} --prometheus={file} >{file}.line; promtool check metrics <{file} 2>&1"
    said = watch("sh", "-ec", script)
    require(f"promtool check metrics: {said.strip() or 'no complaint'}", not said.strip())
    times = []
    for _ in range(5):
        timed = ["bash", "-c", f"TIMEFORMAT='%U %S'; time {plugin} >/dev/null"]
        done = subprocess.run(
            [*PODMAN, "exec", WATCH, *timed], capture_output=True, text=True, check=True
        )
        times.append(sum(map(float, done.stderr.split())))
    figures = ", ".join(f"{each:.2f}" for each in times)
    require(f"processor time of the plugin, five times: {figures} s", max(times) < 1.0)


def addresses() -> list[str]:
    """Return the lab's brokers as endpoints."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    hosts = ("ctl1", "ctl2", "ctl3")
    return [
        f"{host}=http://{podman('inspect', '--format', form, f'{NAME}-{host}').strip()}:15672"
        for host in hosts
    ]


def main() -> int:
    """Run everything; remove the container in any case."""
    endpoints = addresses()
    try:
        start_container()
        start_icinga(endpoints)
        check_icinga()
        check_prometheus(endpoints)
    except Unexpected as error:
        print(f"monitoring: {error}", file=sys.stderr)
        print(watch("sh", "-c", "tail -n 20 /var/log/icinga2/icinga2.log || true"), file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"monitoring: {error}: {error.stderr or ''}{error.stdout or ''}", file=sys.stderr)
        return 1
    finally:
        if "--keep" not in sys.argv:
            podman("rm", "--force", "--time=0", WATCH)
    return 0


if __name__ == "__main__":
    sys.exit(main())

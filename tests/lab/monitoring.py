"""The lab's brokers, watched by a real Icinga 2 and silenced in it and in a real Alertmanager while they are restarted.

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

import requests
import urllib3

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = os.environ.get("LAB_NAME", "holdfast-monitoring")
LAB = Path(os.environ.get("LAB_DIR", REPOSITORY / ".lab" / NAME))
WATCH = f"{NAME}-watch"
ICINGA_PORT, ALERTMANAGER_PORT = 15665, 19093
USER, PASSWORD = "holdfast", "lab-password-of-icinga"
PACKAGES = "icinga2-bin icinga2-common prometheus prometheus-alertmanager monitoring-plugins-basic"
CREDENTIALS = "/etc/icinga2/holdfast-rabbitmq.yml"
PODMAN = ["env", f"CONTAINERS_CONF={LAB}/containers.conf", "podman"]
if os.geteuid() != 0:
    PODMAN = ["sudo", "--non-interactive", *PODMAN]
pause = threading.Event().wait
urllib3.disable_warnings()  # of the certificate that Icinga made for itself, on the loopback


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
for (name in [ "ctl1", "ctl2", "ctl3" ]) {
  object Host name { check_command = "dummy" }
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


def start_alertmanager() -> None:
    """Start Alertmanager with the alert that always fires."""
    write("/run/alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
    options = (
        "--config.file=/run/alertmanager.yml --storage.path=/run/alertmanager --cluster.listen-address= "
        f"--web.listen-address=127.0.0.1:{ALERTMANAGER_PORT}"
    )
    podman(
        "exec",
        "--detach",
        WATCH,
        "sh",
        "-c",
        f"prometheus-alertmanager {options} 2>/run/alertmanager.log",
    )
    fires = [{"labels": {"alertname": "Watchdog"}, "endsAt": "2099-01-01T00:00:00Z"}]
    until("Alertmanager takes alerts", lambda: alertmanager("alerts", fires) == "")


def alertmanager(path: str, body: Any = None) -> Any:
    """Ask Alertmanager's API."""
    method = "GET" if body is None else "POST"
    url = f"http://127.0.0.1:{ALERTMANAGER_PORT}/api/v2/{path}"
    answer = requests.request(method, url, json=body, timeout=10)
    answer.raise_for_status()
    return answer.json() if answer.content.strip() else ""


def silenced() -> dict[str, set[str]]:
    """Return what is silenced now: values of matchers, and objects of Icinga."""
    active = [each for each in alertmanager("silences") if each["status"]["state"] == "active"]
    downtimes = icinga("objects/downtimes")["results"]
    return {
        "Alertmanager": {each["matchers"][0]["value"] for each in active},
        "Icinga": {each["attrs"]["host_name"] for each in downtimes},
    }


def icinga(path: str, body: Any = None) -> Any:
    """Ask Icinga's API; its certificate is of its own authority, and it is on loopback."""
    method = "GET" if body is None else "POST"
    url = f"https://127.0.0.1:{ICINGA_PORT}/v1/{path}"
    accept = {"Accept": "application/json"}
    login = (USER, PASSWORD)
    answer = requests.request(
        method,
        url,
        json=body,
        auth=login,
        headers=accept,
        verify=False,  # noqa: S501 - loopback
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()


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
        except (requests.ConnectionError, requests.Timeout):
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


def play(site: str, host: str) -> subprocess.Popen[str]:
    """Start the restart of one broker by hand, with the site variables of a file."""
    command = ["ansible-playbook", "-i", "inventories/lab", "playbooks/rabbitmq_restart.yml"]
    environment = {**os.environ, "LAB_NAME": NAME, "LAB_PROFILE": "rabbitmq"}
    environment["PATH"] = f"{REPOSITORY}/.venv/bin:{environment['PATH']}"
    environment["HOLDFAST_STATE_DIR"] = str(LAB / "monitoring-state")
    return subprocess.Popen(
        [*command, "--limit", host, "-e", f"@{site}"],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def watched(site: str, host: str) -> tuple[int, str, list[tuple[float, dict[str, set[str]]]]]:
    """Run the restart; return its exit code and output, and what was silenced when, each half second."""
    began, seen = time.monotonic(), []
    with play(site, host) as process:
        while process.poll() is None:
            seen.append((time.monotonic() - began, silenced()))
            pause(0.5)
        output = process.stdout.read() if process.stdout else ""
    return process.returncode, output, seen


def check_silences() -> None:
    """Restart one broker, and another whose unit fails; look at what is silenced meanwhile and afterwards."""
    authority = LAB / "icinga-ca.crt"
    authority.write_text(watch("cat", "/var/lib/icinga2/certs/ca.crt"))
    site = LAB / "alerting.yml"
    variables = {
        "holdfast_alertmanager_url": f"http://127.0.0.1:{ALERTMANAGER_PORT}",
        "holdfast_alertmanager_silence": ['instance=~"{{ inventory_hostname }}(:.*)?"'],
        "holdfast_icinga_url": f"https://127.0.0.1:{ICINGA_PORT}",
        "holdfast_icinga_user": USER,
        "holdfast_icinga_password": PASSWORD,
        "holdfast_icinga_ca_file": str(authority),
        "holdfast_icinga_tls_name": "watch",
        "holdfast_icinga_downtime": {"filter": 'host.name == "{{ inventory_hostname }}"'},
        "holdfast_pace": [{"claim": "alerts.none_firing", "matchers": ['severity="critical"']}],
    }
    site.write_text(json.dumps(variables))
    code, output, seen = watched(str(site), "ctl1")
    if code:
        raise Unexpected(output)
    at = [(when, now) for when, now in seen if now["Icinga"]]
    first, last = at[0][0], at[-1][0]
    require(
        f"the play took {seen[-1][0]:.0f} s; ctl1 was silenced from {first:.0f} s to {last:.0f} s",
        bool(at),
    )
    everything = {each for _, now in seen for each in now["Icinga"] | now["Alertmanager"]}
    require(
        f"silenced meanwhile: {', '.join(sorted(everything))}", everything == {"ctl1", "ctl1(:.*)?"}
    )
    require(
        "silenced after the host was done: nothing",
        silenced() == {"Alertmanager": set(), "Icinga": set()},
    )

    broken = "/run/systemd/system/rabbitmq-server.service.d/broken.conf"
    make = (
        f"mkdir -p $(dirname {broken}); printf '[Service]\\nExecStartPre=/bin/false\\n' >{broken}"
    )
    podman("exec", f"{NAME}-ctl2", "sh", "-c", f"{make}; systemctl daemon-reload")
    try:
        code, output, _ = watched(str(site), "ctl2")
        kept = silenced()
        require(
            f"ctl2's unit fails: the play stops ({code}), and {kept['Icinga']} stays silenced",
            code != 0,
        )
        require("in both", kept == {"Alertmanager": {"ctl2(:.*)?"}, "Icinga": {"ctl2"}})
    finally:
        unit = "rabbitmq-server"
        mend = f"rm {broken}; systemctl daemon-reload; systemctl reset-failed {unit}; systemctl start {unit}"
        podman("exec", f"{NAME}-ctl2", "sh", "-c", mend)
    until("ctl2 is mended: OK", lambda: service("rabbitmq")[0] == 0)

    alertmanager(
        "alerts",
        [{"labels": {"alertname": "BrokerDown", "instance": "ctl2:9419", "severity": "critical"}}],
    )
    site.write_text(json.dumps(variables | {"holdfast_gate_deadline_seconds": 5}))
    code, output, seen = watched(str(site), "ctl3")
    said = [
        line.strip() for line in output.splitlines() if "alerts.none_firing FAIL (firing)" in line
    ]
    require(
        f"a critical alert, silenced, stops the next: {said[0] if said else output}",
        code != 0 and bool(said),
    )
    require(
        "and ctl3 was neither silenced nor touched",
        not any("ctl3" in now["Icinga"] for _, now in seen),
    )


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
        start_alertmanager()
        check_silences()
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

"""What judges have in common."""

from __future__ import annotations

import subprocess

import pytest

from holdfast.judges.base import first_few, without_secrets
from tests.content.repository import ROOT


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "0"), (3, "0; 1; 2"), (4, "0; 1; 2 and 1 more"), (9, "0; 1; 2 and 6 more")],
)
def test_a_message_names_the_first_three(count: int, text: str) -> None:
    assert first_few([str(number) for number in range(count)]) == text


TEXTS = """\
Authorization: Basic aGk6aG8=
curl -H "authorization: Bearer abc"
openstack --os-password hunter2 token issue
rabbit://nova:p@ss@ctl1:5672/
mysql://nova@ctl1/nova
password=hunter2 host=x
'db_passwd': "hunter2", x
{default_pass, <<"hunter2">>}
Exec[nova.conf: long_rpc_timeout] (returns)
compass north
"""


def test_what_is_masked_in_messages_is_what_the_host_masks() -> None:
    program = (ROOT / "src/holdfast/unit_program.sh").read_text("utf-8")
    masks = program[program.index("without_secrets() {") :].partition("\n}\n")[0]
    script = f"{masks}\n}}\nwithout_secrets"
    argv = ["sh", "-c", script]
    masked = subprocess.run(argv, input=TEXTS, check=True, capture_output=True, text=True).stdout
    assert "hunter2" not in masked
    assert [without_secrets(line) for line in TEXTS.splitlines()] == masked.splitlines()

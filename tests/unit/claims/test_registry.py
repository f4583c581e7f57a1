"""Claims are found by name, checked before anything is probed, and import only what they use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.claims import SYSTEMS, all_claims, bind_claim, claims_of, find_claim, standing
from holdfast.claims.base import BoundClaim, Claim, Parameters
from holdfast.errors import InvalidInput
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.runbook.sections import section_of

ROOT = Path(__file__).parents[3]
TOOLS = (
    "systemctl|journalctl|openstack|rabbitmqctl|rabbitmq-[a-z]+|puppet|ps|amtool|ssh-keygen|curl"
    "|salt-run|mariadb|socat"
)


@pytest.mark.parametrize("claim", all_claims().values(), ids=lambda claim: claim.name)
class TestEveryClaim:
    def test_is_named_for_its_system(self, claim: Claim) -> None:
        assert claims_of(claim.name.partition(".")[0])[claim.name] is claim

    def test_has_a_summary_in_its_judge_s_docstring(self, claim: Claim) -> None:
        assert claim.summary
        assert claim.judge.__doc__
        assert claim.judge.__doc__.partition("\n")[0] == f"PASS where {claim.summary}."

    def test_says_what_to_type_or_read_where_it_does_not_hold(self, claim: Claim) -> None:
        """A runbook's section exists in that runbook; anything else has the command of a tool."""
        section = re.match(r"holdfast show ([a-z-]+)#([a-z-]+)", claim.remedy)
        if section:
            runbook = (ROOT / "runbooks" / f"{section[1]}.md").read_text()
            assert section_of(runbook, section[2], section[1])
        else:
            assert re.search(rf"(^|: |; )({TOOLS}) [a-z-]", claim.remedy)

    def test_forbids_parameters_it_does_not_know(self, claim: Claim) -> None:
        assert issubclass(claim.parameters, Parameters)
        assert claim.parameters.model_config["extra"] == "forbid"
        assert claim.parameters.model_config["frozen"]

    def test_every_parameter_is_read_by_its_probe_or_its_judge_and_no_other(
        self, claim: Claim
    ) -> None:
        read = {*claim.probe_parameters, *claim.judge_parameters}
        assert read == set(claim.parameters.model_fields)

    def test_asks_for_nothing_if_it_is_standing(self, claim: Claim) -> None:
        if claim.standing:
            assert claim.group, "a survey asks it of a group"
            bind_claim(claim.name)


CAUSE = Unanswered("no route to ctl1")


def judge(*history: object, judges_history: bool = False) -> Verdict:
    def show(claim: str, observed: object) -> Verdict:
        return Verdict(claim, Outcome.PASS, "shown", repr(observed))

    claim = Claim(name="a.c", probe=all, judge=show, remedy="", judges_history=judges_history)
    return BoundClaim(claim, Parameters()).judge(history)


@pytest.mark.parametrize("judges_history", [False, True])
def test_where_the_newest_reading_has_no_answer_the_verdict_is_unknown(
    judges_history: bool,
) -> None:
    verdict = judge("good", CAUSE, judges_history=judges_history)
    assert verdict == Verdict("a.c", Outcome.UNKNOWN, "unanswered", "no route to ctl1")


def test_a_judge_is_given_the_newest_observation_or_all_that_were_made() -> None:
    assert judge("old", CAUSE, "new").message == "'new'"
    assert judge("old", CAUSE, "new", judges_history=True).message == "['old', 'new']"


def test_the_claims_that_are_judged_by_their_history() -> None:
    names = {name for name, claim in all_claims().items() if claim.judges_history}
    assert names == {
        "systemd.stays_up",
        "galera.conflicts_quiet",
        "galera.flow_quiet",
        "galera.returns_by_increment",
        "nova.heartbeat_advanced",
        "replica.caught_up",
        "nova.units_stay_up",
        "rabbitmq.backlog_steady",
        "rabbitmq.members_caught_up",
        "rabbitmq.queues_drain",
        "rabbitmq.units_stay_up",
    }


def test_no_two_claims_have_one_name() -> None:
    assert len(all_claims()) == sum(len(claims_of(system)) for system in SYSTEMS)


def test_claims_are_standing_where_their_group_has_hosts() -> None:
    assert systems_standing({}) == set()
    assert systems_standing({"rabbitmq": []}) == set()
    assert systems_standing({"rabbitmq": ["ctl1"], "web": ["w1"]}) == {"rabbitmq"}


def systems_standing(groups: dict[str, list[str]], *with_account: str) -> set[str]:
    claims = standing(groups, lambda host, name: name == "galera_user" and host in with_account)
    return {each.claim.name.partition(".")[0] for each in claims}


def test_a_site_that_has_a_cluster_and_no_account_for_it_is_not_asked_about_it() -> None:
    """Inventories had these groups before any claim was about them; ctl1 asks RabbitMQ's claims in the same gate."""
    groups = {"rabbitmq": ["ctl1"], "galera": ["ctl1", "ctl2"], "haproxy": ["lb1"]}
    assert systems_standing(groups) == {"rabbitmq"}
    assert systems_standing(groups, "lb1") == {"rabbitmq"}, "a node has it"
    assert systems_standing(groups, "ctl2") == {"rabbitmq", "galera", "haproxy"}, "one forgot it"
    assert systems_standing({"haproxy": ["lb1"]}, "lb1") == set(), "haproxy leads to something else"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("systemd.activ", "there is no claim 'systemd.activ'; did you mean systemd.active?"),
        ("systmd.active", "there is no claim 'systmd.active'; did you mean systemd.active?"),
        ("xyzzy", "there is no claim 'xyzzy'; known: systemd.active, "),
        ("", "there is no claim ''; known: "),
        ("systemd.active", "systemd.active: unit: Field required"),
        ({"claim": "systemd.active", "unit": ""}, "systemd.active: unit: "),
        ({"claim": "systemd.active", "unit": "a", "unti": "b"}, "no parameter 'unti'; did you mean unit?"),
        ({"unit": "cron"}, "a gate's entry is a claim's name or has the key `claim`"),
        ({"claim": 3}, "a gate's entry is a claim's name or has the key `claim`"),
        ({"claim": "systemd.unchanged_since"}, "starts: Field required"),
    ],
)  # fmt: skip
def test_an_invalid_entry_is_refused_and_the_closest_name_suggested(
    entry: Json, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        bind_claim(entry)
    assert message in str(refused.value)


def test_a_claim_is_found_with_its_parameters() -> None:
    bound = bind_claim({"claim": "systemd.stays_up", "unit": "cron", "invocation_id": "aaa"})
    assert bound.claim is find_claim("systemd.stays_up")
    assert bound.parameters.model_dump().items() >= {"unit": "cron", "invocation_id": "aaa"}.items()


def test_claims_share_a_question_where_probe_and_its_arguments_are_the_same() -> None:
    """``invocation_id`` is the judge's alone, so it does not make another question."""
    active = bind_claim({"claim": "systemd.active", "unit": "cron"})
    up = bind_claim({"claim": "systemd.stays_up", "unit": "cron", "invocation_id": "aaa"})
    other = bind_claim({"claim": "systemd.active", "unit": "ssh"})
    assert active.question == up.question != other.question


def test_one_system_does_not_import_the_libraries_of_another() -> None:
    """openstacksdk and oslo.messaging take seconds to import, which a gate on a broker must not wait for."""
    program = (
        "import sys; from holdfast.claims import bind_claim;"
        "bind_claim({'claim': 'systemd.active', 'unit': 'cron'});"
        "print(*(name for name in ('requests', 'amqp', 'oslo_messaging', 'openstack', 'keystoneauth1', 'pymysql')"
        " if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

"""Judge alerts: none fires that stops progress. One that is silenced counts as any other."""

from __future__ import annotations

from holdfast.judges.base import first_few
from holdfast.model import Outcome, Verdict
from holdfast.observations.alerts import AlertsSeen


def none_firing(claim: str, seen: AlertsSeen) -> Verdict:
    """PASS where no alert fires that matches, and the alert that must always fire does.

    Alertmanager knows only what fires: an empty list from one that hears nothing looks like health. Prometheus sends it
    one alert always, as a heartbeat. Silences hide alerts from people; here they count (kured, "blocking reboots via
    Prometheus").
    """
    evidence = {"asked": seen.asked, "firing": [str(each) for each in seen.firing]}
    if seen.firing:
        count = f"{len(seen.firing)} alert{'s fire' if len(seen.firing) > 1 else ' fires'}"
        message = f"{count}: {first_few(evidence['firing'])}"
        return Verdict(claim, Outcome.FAIL, "firing", message, evidence)
    if seen.heartbeat is False:
        message = (
            "no alert fires in Alertmanager, not even the one that always must (holdfast_alertmanager_heartbeat):"
            " it may hear nothing"
        )
        return Verdict(claim, Outcome.UNKNOWN, "no_heartbeat", message, evidence)
    heard = "" if seen.heartbeat else "; whether it hears of any is not checked"
    message = f"no alert fires that matches {seen.asked}{heard}"
    return Verdict(claim, Outcome.PASS, "none", message, evidence)


def no_problems(claim: str, seen: AlertsSeen) -> Verdict:
    """PASS where every object of Icinga that the filter selects was checked lately and is well.

    An object in downtime, or acknowledged, counts as any other. A filter that selects nothing proves nothing.
    """
    evidence = {"asked": seen.asked, "firing": [str(each) for each in seen.firing]}
    if seen.firing:
        message = f"{len(seen.firing)} of {seen.objects}: {first_few(evidence['firing'])}"
        return Verdict(claim, Outcome.FAIL, "problems", message, evidence)
    if not seen.objects:
        message = f"Icinga has nothing that {seen.asked} selects"
        return Verdict(claim, Outcome.UNKNOWN, "no_objects", message, evidence)
    if seen.stale:
        message = f"not checked lately: {first_few(list(seen.stale))}"
        return Verdict(claim, Outcome.UNKNOWN, "stale", message, evidence)
    message = f"{seen.objects} of {seen.objects} objects of Icinga are well"
    return Verdict(claim, Outcome.PASS, "well", message, evidence)

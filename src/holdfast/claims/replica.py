"""The claim about asynchronous replicas of a Galera cluster."""

from __future__ import annotations

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import replica
from holdfast.probes.galera.replica import probe_replicas
from holdfast.probes.galera.site import ACCOUNT, GROUP, REPLICAS, GaleraSite


class LagParameters(Parameters):
    """``seconds``: so far behind a replica may be."""

    seconds: float = Field(default=30, gt=0)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="replica.caught_up",
        group=REPLICAS,
        also=(GROUP,),
        needs=GaleraSite.needs(),
        probe=probe_replicas,
        judge=replica.caught_up,
        judges_history=True,
        in_time=(replica.TOO_FEW_SAMPLES,),
        parameters=LagParameters,
        remedy='on the replica: mariadb --vertical -e "SHOW ALL SLAVES STATUS"',
        standing=True,
        standing_with=(REPLICAS, ACCOUNT),
    ),
)

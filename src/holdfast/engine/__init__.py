"""The engine: the only loop. It reads the journal, decides, starts the next play, and reads again.

1. Plan: read the runbook, the inventory and the playbooks, and check them against each other.
   Nothing is touched.
2. Take the run's own lease and open the run in the journal, survey the services that will be
   touched, and take their leases. A refusal up to this point leaves only its own event.
3. Fold the journal, and let ``plan.decide`` decide what comes next; record it and carry it out: an
   inspection (survey, check, wait, sweep, observe), a roll of one batch, a request for approval, or
   an end.
4. The play of a roll takes its hosts through their phases, and writes intents, results and verdicts
   itself. Each of its acts proves the lease again. The engine records how the play ended.
5. Repeat from 3 until the run is finished, held, aborted or refused; then release the leases.

Meanwhile ``lease_keeper`` renews the leases, and ``journal_follower`` reads requests to stop and
passes events to the listener, each in a thread of its own. The engine opens no connection to the
fleet, knows no secret, repeats no act, and keeps no state of its own: after a crash the journal is
all there is, and ``resume`` begins at 3, where hosts in hand are observed first.
"""

"""Ask a node how far its members of quorum queues are behind: all queues in one command."""

from __future__ import annotations

import json
import time

from holdfast.errors import CannotTell
from holdfast.observations.rabbitmq import MemberLag, QueueId
from holdfast.probes.base import ProbeContext, require_shape
from holdfast.probes.rabbitmq import commands
from holdfast.probes.rabbitmq.answers import MEMBERS
from holdfast.probes.rabbitmq.site import broker_of, brokers_of

# Every node keeps, per member, the index of the last committed and of the last written entry of its log (the table
# ra_metrics, in 3.10 and 4.0), and writes them anew every quorum_tick_interval. What the leader had committed is noted
# first; then the node's own members have a little more than such an interval to have written as much.
_ASKED = """
Own = node(), Tick = application:get_env(rabbit, quorum_tick_interval, 5000),
Until = erlang:monotonic_time(millisecond) + min(Tick + 1000, 6500),
NodesOf = fun(Q) ->
  case maps:get(nodes, amqqueue:get_type_state(Q)) of M when is_map(M) -> maps:keys(M); L -> L end
end,
Queues = [{amqqueue:get_name(Q), NodesOf(Q)} || Q <- rabbit_amqqueue:list_by_type(rabbit_quorum_queue)],
Here = [Name || {Name, Nodes} <- Queues, lists:member(Own, Nodes)],
Rows = fun(Node) -> erpc:call(Node, ets, tab2list, [ra_metrics], 3000) end,
Noted = lists:foldl(
  fun({Name, _, _, _, Commit, _, _}, A) -> A#{Name => max(Commit, maps:get(Name, A, 0))} end, #{},
  lists:append([Rows(Node) || Node <- lists:usort(lists:append([Nodes || {_, Nodes} <- Queues]))])),
Behind = fun Again() ->
  Written = maps:from_list([{Name, Index} || {Name, _, _, _, _, Index, _} <- Rows(Own)]),
  Lag = fun(Name) ->
    case {Noted, Written} of {#{Name := Commit}, #{Name := Index}} -> Commit - Index; _ -> unseen end
  end,
  Left = [{Name, L} || Name <- Here, L <- [Lag(Name)], L =:= unseen orelse L > %d],
  case Left =:= [] orelse erlang:monotonic_time(millisecond) > Until of
    true -> Left;
    false -> timer:sleep(500), Again()
  end
end,
Found = Behind(),
rabbit_json:encode(#{
  members => length(Here), behind => length(Found), tick => Tick,
  queues => [[Vhost, Queue, case Lag of unseen -> null; _ -> Lag end]
             || {{resource, Vhost, queue, Queue}, Lag} <- lists:sublist(Found, 10)]}).
"""


def probe_members(context: ProbeContext, host: str, entries: int) -> MemberLag:
    """Return which members of a node's quorum queues are more than ``entries`` behind their leaders.

    ``host``: whose node; "" for the task's host. Takes a second, and up to seven more while one is behind.

    Raises:
        CannotTell: the node, or one that has other members, does not answer.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    broker = broker_of(brokers_of(context), host or context.host)
    at, source = time.monotonic(), f"{broker.node}: its members of quorum queues were listed"
    try:
        found = json.loads(commands.evaluate(broker, _ASKED % entries))
    except ValueError:
        raise CannotTell(f"{source} as invalid JSON") from None
    require_shape(found, MEMBERS, source)
    lags = {QueueId(vhost, name): lag for vhost, name, lag in found["queues"]}
    return MemberLag(
        host=broker.host,
        at=at,
        tick_seconds=found["tick"] / 1000,
        members=found["members"],
        behind=found["behind"],
        examples={str(queue): lag for queue, lag in lags.items()},
    )

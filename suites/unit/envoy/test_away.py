"""Sidecars that a fault has stopped: nobody waits for them, and they catch up when they are back."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from meshtest.wire import RemoteError

Pair = Any  # conftest.py's; test folders are no packages


def away(mesh: Pair, *pods: Any) -> None:
    mesh.bench.channel.call("away", timeout=20, proxies=[pod.node_id for pod in pods])


def lock(mesh: Pair) -> Any:
    return mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))


def test_nobody_waits_for_a_paused_sidecar_which_catches_up(mesh: Pair) -> None:
    assert mesh.get()[0] == 200
    away(mesh, mesh.callee)
    mesh.bench.signal(mesh.callee, signal.SIGSTOP)
    assert lock(mesh)["acked"] == 0
    mesh.bench.signal(mesh.callee, signal.SIGCONT)
    assert mesh.get()[0] == 200
    away(mesh)
    assert mesh.get()[0] == 403


def test_nobody_waits_for_one_that_has_ended_and_it_starts_with_the_present_state(mesh: Pair) -> None:
    away(mesh, mesh.callee)
    mesh.bench.stop(mesh.callee)
    assert lock(mesh)["acked"] == 0
    mesh.bench.start(mesh.callee)
    away(mesh)
    mesh.bench.channel.call("ready", timeout=20, only=[mesh.callee.node_id])
    assert mesh.get()[0] == 403


def test_a_push_under_way_lets_go_of_one_that_leaves(mesh: Pair) -> None:
    mesh.bench.signal(mesh.callee, signal.SIGSTOP)
    ticket = mesh.bench.channel.start("identity", proxy=mesh.callee.node_id, ca="unknown")
    away(mesh, mesh.callee)
    mesh.bench.channel.result(ticket, timeout=5)
    mesh.bench.signal(mesh.callee, signal.SIGCONT)
    away(mesh)
    assert mesh.get()[0] == 503
    mesh.bench.channel.call("identity", timeout=20, proxy=mesh.callee.node_id, reset=True)
    assert mesh.get()[0] == 200


def test_endpoints_that_were_sent_elsewhere_meanwhile_are_so_when_it_is_back(mesh: Pair) -> None:
    away(mesh, mesh.caller)
    mesh.bench.signal(mesh.caller, signal.SIGSTOP)
    swap = {f"127.0.0.1:{mesh.inbound_port}": "127.0.0.1:1"}
    mesh.bench.channel.call("endpoints", timeout=5, swap={mesh.caller.node_id: swap})
    mesh.bench.signal(mesh.caller, signal.SIGCONT)
    away(mesh)
    assert mesh.get()[0] == 503


def test_its_admin_interface_is_not_asked(mesh: Pair) -> None:
    away(mesh, mesh.callee)
    began = time.monotonic()
    with pytest.raises(RemoteError, match="default/callee-0: its Envoy stands still or has ended"):
        mesh.bench.channel.call("admin", timeout=20, proxy=mesh.callee.node_id, path="/stats")
    assert time.monotonic() - began < 1


def test_a_new_sidecar_without_certificate_holds_up_no_push(pair: Pair) -> None:
    pair.bench.tell(pair.caller)
    pair.bench.tell(pair.callee)
    pair.bench.channel.call("withhold", timeout=5, on=True, proxies=[pair.callee.node_id])
    pair.bench.start(pair.caller)
    pair.bench.start(pair.callee)
    update = (pair.caller, pair.outbound()), (pair.callee, [pair.local(), pair.inbound()])
    assert pair.bench.update(*update)["acked"] == 1
    assert pair.get()[0] == 503
    pair.bench.channel.call("withhold", timeout=20, on=False, proxies=[pair.callee.node_id])
    assert pair.get()[0] == 200


def test_nobody_waits_for_one_whose_successor_gets_no_certificate(mesh: Pair) -> None:
    """The control plane learns of its end while it waits for it already."""
    mesh.bench.channel.call("withhold", timeout=5, on=True, proxies=[mesh.callee.node_id])
    mesh.bench.signal(mesh.callee, signal.SIGSTOP)
    ticket = mesh.bench.channel.start("ready", only=[mesh.callee.node_id])
    mesh.bench.stop(mesh.callee)
    mesh.bench.start(mesh.callee)
    mesh.bench.channel.result(ticket, timeout=15)
    mesh.bench.channel.call("withhold", timeout=20, on=False, proxies=[mesh.callee.node_id])
    assert mesh.get()[0] == 200


def test_a_replica_to_come_gets_no_certificate_where_its_workload_gets_none(pair: Pair) -> None:
    pair.bench.tell(pair.caller)
    pair.bench.channel.call("withhold", timeout=5, on=True, proxies=[], workloads=[pair.callee.workload_key])
    pair.bench.tell(pair.callee)
    pair.bench.start(pair.caller)
    pair.bench.start(pair.callee)
    update = (pair.caller, pair.outbound()), (pair.callee, [pair.local(), pair.inbound()])
    assert pair.bench.update(*update)["acked"] == 1
    assert pair.get()[0] == 503
    asked = pair.bench.channel.call("told", timeout=5, proxies=[], workloads=[pair.callee.workload_key])
    assert asked.header["withheld"] >= 1
    pair.bench.channel.call(
        "withhold", timeout=20, on=False, proxies=[], workloads=[pair.callee.workload_key]
    )
    assert pair.get()[0] == 200

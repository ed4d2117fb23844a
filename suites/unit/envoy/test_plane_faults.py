"""What faults ask of the control plane, on a pair of real Envoys."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest

from meshtest.waiting import wait_until

Pair = Any  # conftest.py's; test folders are no packages


def ask(mesh: Pair, op: str, **fields: Any) -> Any:
    return mesh.bench.channel.call(op, timeout=20, **fields).header


def lock(mesh: Pair) -> None:
    mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))


def _status(mesh: Pair) -> int:
    """0 where the push itself cut the connection."""
    try:
        return int(mesh.get()[0])
    except (http.client.HTTPException, ConnectionError):
        return 0


def test_held_push_arrives_when_it_is_released(mesh: Pair) -> None:
    ask(mesh, "hold", fault="f", proxies=[mesh.callee.node_id])
    lock(mesh)
    assert mesh.get()[0] == 200
    assert ask(mesh, "told", fault="f")["held"] == 1
    assert ask(mesh, "release", fault="f")["hits"] == 1
    assert mesh.get()[0] == 403


def test_several_held_pushes_keep_their_order(mesh: Pair) -> None:
    ask(mesh, "hold", fault="f", proxies=[])
    lock(mesh)
    mesh.bench.update((mesh.callee, [mesh.inbound()]))
    ask(mesh, "release", fault="f")
    assert mesh.get()[0] == 200


def test_hold_of_somebody_else_holds_nothing(mesh: Pair) -> None:
    ask(mesh, "hold", fault="f", proxies=[mesh.caller.node_id])
    lock(mesh)
    assert mesh.get()[0] == 403
    assert ask(mesh, "release", fault="f")["hits"] == 0


def test_late_push_comes_by_itself(mesh: Pair) -> None:
    ask(mesh, "hold", fault="f", proxies=[], delay=0.2)
    began = time.monotonic()
    lock(mesh)
    assert mesh.get()[0] == 200
    wait_until(lambda: _status(mesh) == 403, 5, lambda: "the push has not come")
    assert time.monotonic() - began >= 0.2


def test_endpoints_stay_while_everything_else_changes(mesh: Pair) -> None:
    ask(mesh, "hold", fault="f", proxies=[mesh.caller.node_id], kinds=["EDS"])
    mesh.bench.update((mesh.caller, [("EDS", {"cluster_name": "callee"}), mesh.route(prefix_rewrite="/new")]))
    assert mesh.get()[0] == 200
    assert mesh.application.received[-1].path == "/new"
    ask(mesh, "release", fault="f")
    assert mesh.get()[0] == 503


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_poisoned_pushes_are_refused_and_the_last_good_configuration_stays(mesh: Pair, side: str) -> None:
    node = (mesh.caller if side == "caller" else mesh.callee).node_id
    assert ask(mesh, "poison", on=True, proxies=[node])["hits"] >= 1
    mesh.bench.update((mesh.caller, [mesh.route(prefix_rewrite="/new")]))
    lock(mesh)
    assert mesh.get()[0] == (403 if side == "caller" else 200)
    ask(mesh, "poison", on=False, proxies=[node])
    assert mesh.get()[0] == 403


def test_a_sidecar_that_starts_while_all_is_refused_holds_nobody_up_and_is_mended_afterwards(
    mesh: Pair,
) -> None:
    node = mesh.callee.node_id
    ask(mesh, "poison", on=True, proxies=[node])
    mesh.bench.stop(mesh.callee)
    mesh.bench.start(mesh.callee)
    ask(mesh, "ready", only=[node])
    assert mesh.get()[0] == 503
    assert ask(mesh, "poison", on=False, proxies=[node])["hits"] >= 1
    assert mesh.get()[0] == 200


def test_restarted_sidecar_without_certificate_serves_nobody_until_it_gets_one(mesh: Pair) -> None:
    node = mesh.callee.node_id
    ask(mesh, "withhold", on=True, proxies=[node])
    assert mesh.get()[0] == 200
    mesh.bench.stop(mesh.callee)
    mesh.bench.start(mesh.callee)
    wait_until(
        lambda: ask(mesh, "told", proxies=[node])["withheld"] > 0, 10, lambda: "it has not asked for any"
    )
    assert mesh.get()[0] == 503
    ask(mesh, "withhold", on=False, proxies=[node])
    assert mesh.get()[0] == 200


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize(
    "terms", [{"root": "unknown"}, {"tls": {"max_version": "TLSv1_1"}}, {"tls": {"cipher_suites": ["AES128-SHA"]}}],
    ids=["no root", "old TLS", "weak cipher"],
)  # fmt: skip
def test_handshake_fails_until_it_is_reset(mesh: Pair, terms: dict[str, Any], side: str) -> None:
    node = (mesh.caller if side == "caller" else mesh.callee).node_id
    before = mesh.bench.channel.call("dump", timeout=10, proxy=node).payload
    ask(mesh, "identity", proxy=node, **terms)
    assert mesh.get()[0] == 503
    ask(mesh, "identity", proxy=node, reset=True)
    assert mesh.get()[0] == 200
    assert mesh.bench.channel.call("dump", timeout=10, proxy=node).payload == before


def test_rotation_goes_on_until_it_is_reset(mesh: Pair) -> None:
    node = mesh.callee.node_id
    ask(mesh, "rotation", proxy=node, every=0.01, lifetime=3600)
    wait_until(lambda: ask(mesh, "rotation", proxy=node)["count"] >= 3, 5, lambda: "it does not rotate")
    assert mesh.get()[0] == 200
    ask(mesh, "identity", proxy=node, reset=True, reconnect=False)
    assert ask(mesh, "rotation", proxy=node)["count"] == 0


def test_new_control_plane_brings_changed_clusters_with_their_endpoints(mesh: Pair) -> None:
    mesh.bench.restart()
    mesh.bench.tell(mesh.caller)
    mesh.bench.tell(mesh.callee)
    changed = [mesh.cluster(connect_timeout="3s"), *mesh.outbound()[1:]]
    mesh.bench.update((mesh.caller, changed), (mesh.callee, [mesh.local(), mesh.inbound()]))
    assert mesh.get()[0] == 200


def test_new_certificate_waits_for_a_sidecar_that_has_to_ask_again(mesh: Pair) -> None:
    mesh.bench.restart()
    mesh.bench.tell(mesh.caller)
    mesh.bench.tell(mesh.callee)
    mesh.bench.update((mesh.caller, mesh.outbound()), (mesh.callee, [mesh.local(), mesh.inbound()]))
    ask(mesh, "expect", proxies=[mesh.callee.node_id])
    ask(mesh, "identity", proxy=mesh.callee.node_id, ca="unknown")
    assert mesh.get()[0] == 503


def test_an_outage_after_an_outage_remembers_who_has_not_asked_again_yet(mesh: Pair) -> None:
    ask(mesh, "expect", proxies=["still-on-its-way"])
    assert ask(mesh, "told")["secrets"] == sorted(
        [mesh.caller.node_id, mesh.callee.node_id, "still-on-its-way"]
    )

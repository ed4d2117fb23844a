from __future__ import annotations

import http.client
import signal
import ssl
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.wire import RemoteError

if TYPE_CHECKING:
    from pathlib import Path

Pair = Any  # conftest.py's; test folders are no packages


def test_request_crosses_two_sidecars_with_mutual_tls(mesh: Pair) -> None:
    status, body, _ = mesh.get("/ratings/0?x=1")
    assert (status, body) == (200, "x" * 10)
    line = mesh.bench.line(mesh.callee)
    assert (line["peer"], line["path"]) == ("spiffe://cluster.local/ns/default/sa/bob", "/ratings/0?x=1")


def test_first_request_after_an_update_meets_the_new_policy_on_pooled_connections(mesh: Pair) -> None:
    caller = http.client.HTTPConnection("127.0.0.1", mesh.outbound_port, timeout=10)
    seen: list[tuple[str, int]] = []
    spent: list[float] = []
    for turn in range(60):
        action, wanted = ("DENY", 403) if turn % 2 else ("ALLOW", 200)
        begun = time.perf_counter()
        mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac(action))]))
        spent.append((time.perf_counter() - begun) * 1e3)
        for _ in range(2):
            caller.request("GET", "/")
            answer = caller.getresponse()
            answer.read()
            seen.append((action, answer.status))
            assert answer.status == wanted, (turn, seen[-6:])
    caller.close()
    assert len({line["flags"] for line in mesh.bench.lines(mesh.caller)}) == 1, "a request was reset"
    assert all(line["attempts"] == 1 for line in mesh.bench.lines(mesh.caller))
    print(f"swap: median {statistics.median(spent):.1f} ms, worst {max(spent):.1f} ms")  # noqa: T201


def test_refusal_names_proxy_resource_and_reason_and_the_next_update_works(mesh: Pair) -> None:
    kind, broken = mesh.inbound()
    broken["filter_chains"][0]["filters"][0]["typed_config"]["stat_prefix"] = ""
    with pytest.raises(
        RemoteError, match=r"callee-0 refused LDS \[virtualInbound\]: .*StatPrefix"
    ) as failure:
        mesh.bench.update((mesh.callee, [(kind, broken)]))
    assert failure.value.kind == "Rejected"
    assert mesh.get()[0] == 200
    mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))
    assert mesh.get()[0] == 403


def test_refused_cluster_is_told_too(mesh: Pair) -> None:
    with pytest.raises(RemoteError, match=r"caller-0 refused CDS \[callee\]"):
        mesh.bench.update((mesh.caller, [mesh.cluster(lb_policy="CLUSTER_PROVIDED")]))
    assert mesh.get()[0] == 200


def test_proxy_that_never_connects_is_named(mesh: Pair) -> None:
    mesh.bench.stop(mesh.callee)
    with pytest.raises(RemoteError, match="default/callee-0: its Envoy is not connected"):
        mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]), within=0.3)
    mesh.bench.start(mesh.callee)
    mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"), chain="again")]))
    assert mesh.get()[0] == 403


def test_paused_bystander_holds_nobody_up(mesh: Pair) -> None:
    mesh.bench.signal(mesh.caller, signal.SIGSTOP)
    begun = time.monotonic()
    assert mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))["acked"] == 1
    assert time.monotonic() - begun < 5
    mesh.bench.signal(mesh.caller, signal.SIGCONT)
    assert mesh.get()[0] == 403


def test_unchanged_resources_are_not_sent_again(mesh: Pair) -> None:
    assert mesh.bench.update((mesh.callee, [mesh.inbound()]))["acked"] == 0


def test_changed_cluster_route_and_endpoints_are_live(mesh: Pair) -> None:
    mesh.bench.update((mesh.caller, [mesh.cluster(connect_timeout="3s")]))
    assert mesh.get()[0] == 200
    mesh.bench.update((mesh.caller, [mesh.route(prefix_rewrite="/rewritten")]))
    mesh.get("/")
    assert mesh.application.received[-1].path == "/rewritten"
    mesh.bench.update((mesh.caller, [("EDS", {"cluster_name": "callee"})]))
    assert mesh.get()[0] == 503
    mesh.bench.update((mesh.caller, [("EDS", mesh.endpoints())]))
    assert mesh.get()[0] == 200


def test_removed_listener_refuses_connections(mesh: Pair) -> None:
    mesh.bench.update(removed=[(mesh.caller, "LDS", "http")])
    with pytest.raises(ConnectionRefusedError):
        mesh.get()


def test_restarted_envoy_gets_everything_again(mesh: Pair) -> None:
    mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))
    mesh.bench.stop(mesh.callee)
    mesh.bench.start(mesh.callee)
    mesh.bench.channel.call("ready", timeout=20, only=[mesh.callee.node_id])
    assert mesh.get()[0] == 403


def test_new_identity_is_shown_on_new_and_pooled_connections(mesh: Pair) -> None:
    assert mesh.get()[0] == 200
    other = "spiffe://cluster.local/ns/default/sa/mallory"
    mesh.bench.channel.call("identity", timeout=10, proxy=mesh.caller.node_id, spiffe=other)
    assert mesh.get()[0] == 200
    assert mesh.bench.line(mesh.callee, at_least=2)["peer"] == other
    mesh.bench.channel.call("identity", timeout=10, proxy=mesh.caller.node_id, reset=True)
    mesh.get()
    assert mesh.bench.line(mesh.callee, at_least=3)["peer"] == mesh.caller.identity


@pytest.mark.parametrize(
    "terms",
    [
        {"not_before": -7200, "not_after": -3600},
        {"not_before": 3600},
        {"ca": "unknown"},
        {"ca": "self-signed"},
    ],
    ids=["expired", "not yet valid", "unknown authority", "self-signed"],
)
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_wrong_certificate_fails_the_handshake_until_it_is_reset(
    mesh: Pair, terms: dict[str, Any], side: str
) -> None:
    wrong = mesh.caller if side == "caller" else mesh.callee
    assert mesh.get()[0] == 200
    mesh.bench.channel.call("identity", timeout=10, proxy=wrong.node_id, **terms)
    status, body, _ = mesh.get()
    assert status == 503, body
    mesh.bench.channel.call("identity", timeout=10, proxy=wrong.node_id, reset=True)
    assert mesh.get()[0] == 200


def test_admin_and_dump_show_what_an_envoy_has(mesh: Pair) -> None:
    node = mesh.callee.node_id
    info = mesh.bench.channel.call("admin", timeout=10, proxy=node, path="/server_info")
    assert info.header["status"] == 200
    assert b'"LIVE"' in info.payload
    dump = mesh.bench.channel.call("dump", timeout=10, proxy=node).payload.decode()
    assert "meshtest.marks" in dump
    assert "problem" not in dump


def test_issued_certificate_opens_the_callee(mesh: Pair, tmp_path: Path) -> None:
    spiffe = "spiffe://cluster.local/ns/x/sa/y"
    issued = mesh.bench.channel.call("issue", timeout=10, spiffe=spiffe).header
    both = tmp_path / "client.pem"
    both.write_text(issued["cert"] + issued["key"], encoding="utf-8")
    context = ssl.create_default_context(cadata=issued["ca"])
    context.check_hostname = False  # the callee's name is a URI
    context.load_cert_chain(both)
    context.set_alpn_protocols(["istio-http/1.1"])
    caller = http.client.HTTPSConnection("127.0.0.1", mesh.inbound_port, context=context, timeout=10)
    caller.request("GET", "/")
    assert caller.getresponse().status == 200
    caller.close()
    assert mesh.bench.line(mesh.callee)["peer"] == spiffe


def test_credentials_come_over_ads_and_may_come_late_change_and_go(mesh: Pair) -> None:
    def give(*names: str) -> str:
        issued = mesh.bench.channel.call("issue", timeout=10, spiffe="", dns=names).header
        mesh.bench.update(
            (mesh.callee, [mesh.credential("kubernetes://shop", issued["cert"], issued["key"])])
        )
        return str(issued["ca"])

    kind, listener = mesh.edge("kubernetes://shop")
    mesh.bench.update((mesh.callee, [(kind, listener)]), within=5)
    root = mesh.bench.channel.call("issue", timeout=10, spiffe="").header["ca"]
    with pytest.raises(OSError):  # noqa: PT011 - whichever way Envoy says that it has no certificate
        mesh.handshake(root, "shop.example")
    assert mesh.handshake(give("shop.example"), "shop.example")
    assert mesh.handshake(give("shop.example", "other.example"), "other.example")
    mesh.bench.update(removed=[(mesh.callee, "SDS", "kubernetes://shop")])
    assert mesh.handshake(root, "shop.example")  # Envoy keeps what it has, as in a cluster


def test_a_secret_that_is_refused_is_told_and_does_not_keep_the_others_back(mesh: Pair) -> None:
    kind, listener = mesh.edge("kubernetes://shop")
    node = mesh.callee.node_id
    told = mesh.bench.update((mesh.callee, [(kind, listener)]), within=5)
    assert told["unserved"] == {node: {"kubernetes://shop": ""}}
    good = mesh.bench.channel.call("issue", timeout=10, spiffe="", dns=("shop.example",)).header
    bad = mesh.credential("kubernetes://shop", "not PEM", "not PEM")
    told = mesh.bench.update((mesh.callee, [bad]))
    assert "Failed to load" in told["unserved"][node]["kubernetes://shop"]
    told = mesh.bench.update((mesh.callee, [mesh.credential("kubernetes://shop", good["cert"], good["key"])]))
    assert told["unserved"] == {}
    assert mesh.handshake(good["ca"], "shop.example")


def test_secrets_are_not_among_what_is_shown(mesh: Pair) -> None:
    mesh.bench.update((mesh.callee, [mesh.credential("kubernetes://shop", "a certificate", "a key")]))
    dump = mesh.bench.channel.call("dump", timeout=10, proxy=mesh.callee.node_id, raw=True).payload.decode()
    assert "a key" not in dump
    assert "kubernetes://shop" not in dump


def test_a_new_control_plane_takes_over_with_the_same_root(mesh: Pair) -> None:
    assert mesh.get()[0] == 200
    mesh.bench.restart()
    assert mesh.get()[0] == 200
    mesh.bench.tell(mesh.caller)
    mesh.bench.tell(mesh.callee)
    mesh.bench.update(
        (mesh.caller, mesh.outbound()), (mesh.callee, [mesh.local(), mesh.inbound(mesh.rbac("DENY"))])
    )
    assert mesh.get()[0] == 403

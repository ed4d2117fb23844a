from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from meshtest.mesh.model import Backend, Pod, PodKind
from meshtest.traffic.history import AccessLog, join
from meshtest.traffic.model import BackendReply, BackendRequest, Exchange, Outcome, Protocol, Request

A = Pod(
    namespace="default",
    name="a-1",
    workload="a",
    workload_kind="Deployment",
    ip="10.244.0.1",
    kind=PodKind.SIDECAR,
    labels={},
)


def pod(name: str, ip: str, kind: PodKind = PodKind.SIDECAR, **annotations: str) -> Pod:
    return Pod(
        namespace="default",
        name=f"{name}-1",
        workload=name,
        workload_kind="Deployment",
        ip=ip,
        kind=kind,
        labels={},
        annotations={f"traffic.sidecar.istio.io/{key}": value for key, value in annotations.items()},
    )


B = pod("b", "10.244.0.2")
C = pod("c", "10.244.0.3")
PLAIN = pod("plain", "10.244.0.9", PodKind.PLAIN)
GATEWAY = pod("gateway", "10.244.0.8", PodKind.GATEWAY)
PODS = (A, B, C, PLAIN, GATEWAY)
NOW = 1_790_000_000.0


def exchange(
    *,
    caller: Pod = A,
    outcome: Outcome = Outcome.RESPONSE,
    protocol: Protocol = Protocol.HTTP,
    name: str = "mt-1-1",
    **fields: Any,
) -> Exchange:
    given: dict[str, Any] = {
        "status": 200 if outcome is Outcome.RESPONSE else None,
        "local_address": f"{caller.ip}:40000",
        "remote_address": "10.96.0.20:9080",
        **fields,
    }
    return Exchange(
        id=name,
        caller=caller.key,
        request=Request(url="http://b:9080/", protocol=protocol),
        outcome=outcome,
        started=NOW,
        latency=0.01,
        **given,
    )


def line(at: Pod, side: str, *, name: str | None = "mt-1-1", later: float = 0.001, **fields: Any) -> bytes:
    given: dict[str, Any] = {
        "pod": at.key,
        "side": side,
        "layer": "http" if name else "tcp",
        "start": f"{NOW + later:.6f}",
        "duration_ms": 5,
        "baggage": f"tenant=1,meshtest={name},mtf.f=x" if name else None,
        "request_id": "8e6c2d2f-0000-4000-8000-000000000000",
        "status": 200 if name else 0,
        "flags": None,
        "details": "via_upstream" if name else None,
        "attempts": 1,
        **fields,
    }
    if name is None:
        given["request_id"] = None
    return json.dumps(given).encode() + b"\n"


def outbound(to: Pod = B, **fields: Any) -> bytes:
    return line(A, "outbound", upstream=f"{to.ip}:9080", upstream_local=f"{A.ip}:50000", **fields)


def inbound(at: Pod = B, **fields: Any) -> bytes:
    return line(at, "inbound", **{"later": 0.002, "upstream": f"{at.ip}:9080", **fields})


def joined(one: Exchange, *lines: bytes, timeout: float = 0.05, grace: float = 0.01) -> Exchange:
    log = AccessLog()
    for each in lines:
        log.feed(json.loads(each)["pod"], each)
    return join([one], log, PODS, timeout=timeout, grace=grace)[0]


def places(one: Exchange) -> list[str]:
    return [f"{hop.side} {hop.pod}" for hop in one.hops]


def test_a_request_between_two_sidecars_has_two_hops() -> None:
    one = joined(exchange(), inbound(), outbound())
    assert places(one) == ["outbound default/a-1", "inbound default/b-1"]
    assert one.complete
    assert one.attempts == 1
    assert (one.hops[0].status, one.hops[0].start) == (200, NOW + 0.001)


@pytest.mark.parametrize(
    "lines", [(), (outbound(),), (inbound(),)], ids=["none", "no-inbound", "no-outbound"]
)
def test_a_missing_line_makes_it_incomplete(lines: tuple[bytes, ...]) -> None:
    assert not joined(exchange(), *lines).complete


def test_the_pod_behind_another_way_must_be_heard_too() -> None:
    there = "10.244.255.254:21001"
    detours = {there: f"{B.ip}:9080"}
    left = line(A, "outbound", upstream=there, upstream_local=f"{A.ip}:50000")
    log = AccessLog()
    log.feed(A.key, left)
    assert join([exchange()], log, PODS, timeout=0.05)[0].complete
    assert not join([exchange()], log, PODS, timeout=0.05, detours=detours)[0].complete
    log.feed(B.key, inbound(downstream_direct_remote="172.18.0.1:40000"))
    one = join([exchange()], log, PODS, timeout=0.05, detours=detours)[0]
    assert (places(one), one.complete) == (["outbound default/a-1", "inbound default/b-1"], True)


@pytest.mark.parametrize(
    ("peer", "complete"),
    [(None, True), ("spiffe://example.test/other", True), (f"https://b,{B.identity}", False)],
    ids=["no-uri", "another-identity", "the-mesh"],
)
def test_inside_tls_that_ends_in_the_application_its_sidecar_sees_no_request(
    peer: str | None,
    complete: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    alone = joined(exchange(), outbound(upstream_tls="TLSv1.3", upstream_peer=peer))
    assert alone.complete is complete


def copied(at: Pod = C) -> bytes:
    return inbound(at, baggage="meshtest=mt-1-1,meshtest-mirror=1", peer="spiffe://cluster.local/ns/x/sa/y")


def test_a_copy_that_was_mirrored_is_waited_for_a_while_and_told_from_the_request() -> None:
    log = AccessLog()
    log.feed(A.key, outbound(mirrors=1.0))
    log.feed(B.key, inbound())
    timer = threading.Timer(0.05, log.feed, (C.key, copied()))
    timer.start()
    one = join([exchange()], log, PODS, timeout=5, grace=2)[0]
    timer.join()
    assert [hop.pod for hop in one.mirrors] == ["default/c-1"]
    assert (one.attempts, one.peer_identity, one.complete) == (1, "", True)


def test_a_copy_need_not_be_made() -> None:
    one = joined(exchange(), outbound(mirrors=1.0), inbound())
    assert (one.mirrors, one.complete) == ((), True)


def test_a_copy_makes_up_for_no_line_of_the_request() -> None:
    assert not joined(exchange(), outbound(mirrors=1.0), copied()).complete


def test_lines_of_other_exchanges_do_not_count() -> None:
    one = joined(exchange(), outbound(name="mt-1-11"), inbound(name="mt-1-11"))
    assert (one.hops, one.complete) == ((), False)


def test_waits_for_a_line_that_comes_late_and_in_pieces() -> None:
    log = AccessLog()
    log.feed(A.key, outbound())
    text = inbound()

    def late() -> None:
        log.feed(B.key, text[:40])
        log.feed(B.key, text[40:])

    timer = threading.Timer(0.05, late)
    timer.start()
    began = time.monotonic()
    one = join([exchange()], log, PODS, timeout=5)[0]
    timer.join()
    assert one.complete
    assert time.monotonic() - began < 2


def test_every_attempt_that_reached_a_pod_is_a_hop() -> None:
    one = joined(
        exchange(),
        outbound(attempts=3, to=C),
        inbound(attempt="1", status=503),
        inbound(C, attempt="2", status=503, later=0.003),
        inbound(C, attempt="3", later=0.004),
    )
    assert [hop.attempt for hop in one.hops] == [1, 1, 2, 3]
    assert one.attempts == 3
    assert one.complete


def test_attempts_that_reached_nobody_leave_no_line_and_are_not_missed() -> None:
    assert joined(exchange(), outbound(attempts=2), inbound(attempt="2")).complete


@pytest.mark.parametrize(
    "fields",
    [
        {"flags": "UF", "details": "upstream_reset_before_response_started{connection_failure}"},
        {"flags": "NR", "details": "route_not_found", "upstream": None},
        {"flags": "UO", "details": "overflow"},
        {"flags": "UC", "details": "upstream_reset_before_response_started{connection_termination}"},
    ],
    ids=lambda fields: str(fields["flags"]),
)
def test_a_request_that_no_pod_answered_needs_no_inbound_line(fields: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(outbound()), "status": 503, **fields}).encode() + b"\n"
    assert joined(exchange(status=503), text).complete


def test_tcp_lines_are_found_by_the_addresses_that_connected() -> None:
    tcp: dict[str, Any] = {"name": None, "bytes_out": 20}
    one = joined(
        exchange(protocol=Protocol.TCP, status=None),
        outbound(downstream_direct_remote="10.244.0.1:40000", **tcp),
        inbound(downstream_direct_remote="10.244.0.1:50000", **tcp),
        inbound(C, downstream_direct_remote="10.244.0.1:40001", **tcp),
    )
    assert places(one) == ["outbound default/a-1", "inbound default/b-1"]
    assert one.complete


def test_a_port_that_is_used_again_is_another_connection() -> None:
    one = joined(
        exchange(caller=PLAIN, protocol=Protocol.TCP, status=None, remote_address="10.244.0.2:9000"),
        inbound(name=None, downstream_direct_remote="10.244.0.9:40000", later=-60.0),
        inbound(name=None, downstream_direct_remote="10.244.0.9:40000", later=0.001),
    )
    assert [hop.start for hop in one.hops] == [NOW + 0.001]


def test_a_connection_that_a_sidecar_refused_is_found_without_id() -> None:
    one = joined(
        exchange(caller=PLAIN, outcome=Outcome.RESET, remote_address="10.244.0.2:9080"),
        inbound(name=None, downstream_direct_remote="10.244.0.9:40000", flags="NR", upstream=None),
    )
    assert [hop.flags for hop in one.hops] == ["NR"]


def test_a_plain_caller_of_a_cluster_ip_needs_the_line_of_the_pod_that_answered() -> None:
    backend = BackendReply(workload="b", namespace="default", pod="b-1", request=BackendRequest())
    one = exchange(caller=PLAIN, backend=backend)
    assert not joined(one).complete
    assert joined(one, inbound()).complete


def test_a_gateway_logs_its_own_line_and_leads_to_the_pod_behind_it() -> None:
    one = exchange(caller=PLAIN, remote_address="10.244.0.8:80")
    through = line(GATEWAY, "gateway", upstream="10.244.0.2:9080")
    assert not joined(one, through).complete
    assert places(joined(one, through, inbound())) == ["gateway default/gateway-1", "inbound default/b-1"]


def test_behind_a_service_of_gateways_one_of_them_must_be_heard() -> None:
    services = {
        "10.96.0.20": {9080: [Backend(ip="10.244.0.8", port=8080), Backend(ip="10.244.0.7", port=8080)]}
    }
    second = pod("second", "10.244.0.7", PodKind.GATEWAY)
    one = exchange(caller=PLAIN, status=404)

    def complete(*lines: bytes) -> bool:
        log = AccessLog()
        for each in lines:
            log.feed(json.loads(each)["pod"], each)
        return join([one], log, (*PODS, second), timeout=0.05, grace=0.01, services=services)[0].complete

    assert not complete(inbound())
    assert complete(line(second, "gateway", upstream="10.244.0.2:9080"), inbound())
    services["10.96.0.20"][9080].append(Backend(ip=PLAIN.ip, port=8080))
    assert complete()


def test_behind_a_service_that_a_sidecar_passes_on_to_one_pod_must_be_heard() -> None:
    services = {"10.96.0.20": {9080: [Backend(ip=B.ip, port=9080), Backend(ip=C.ip, port=9080)]}}
    passed = line(A, "outbound", upstream="10.96.0.20:9080", upstream_local=f"{A.ip}:50000")
    refused = line(
        A, "outbound", upstream="10.96.0.20:9080", details="upstream_reset_before_response_started"
    )

    def complete(*lines: bytes) -> bool:
        log = AccessLog()
        for each in lines:
            log.feed(json.loads(each)["pod"], each)
        return join([exchange()], log, PODS, timeout=0.05, grace=0.01, services=services)[0].complete

    assert not complete(passed)
    assert complete(passed, inbound(C))
    assert complete(refused)


def test_where_no_fault_is_about_who_was_connected_to_must_have_logged_it() -> None:
    broken = line(
        A, "outbound", upstream=f"{B.ip}:9080", upstream_local=f"{A.ip}:50000", details="x", flags="UC"
    )
    unmet = line(
        A, "outbound", upstream=f"{B.ip}:9080", upstream_local=f"{A.ip}:50000", details="x", flags="UF"
    )
    refused = line(B, "inbound", name=None, flags="NR", downstream_direct_remote=f"{A.ip}:50000")

    def complete(one: Exchange, *lines: bytes, calm: bool = True, **known: Any) -> bool:
        log = AccessLog()
        for each in lines:
            log.feed(json.loads(each)["pod"], each)
        return join([one], log, PODS, timeout=0.05, grace=0.01, calm=calm, **known)[0].complete

    assert complete(exchange(), broken, calm=False)
    assert not complete(exchange(), broken)
    assert complete(exchange(), broken, refused)
    assert complete(exchange(), unmet)
    services = {"10.96.0.20": {9080: [Backend(ip=B.ip, port=9080)]}}
    reset = exchange(caller=PLAIN, outcome=Outcome.RESET)
    assert complete(reset, calm=False, services=services)
    assert not complete(reset, services=services)
    passed = line(
        A, "outbound", upstream="10.96.0.20:9080", upstream_local=f"{A.ip}:50000", flags="UR", details=None
    )
    lost = exchange(outcome=Outcome.RESET)
    assert complete(lost, passed, calm=False, services=services)
    assert not complete(lost, passed, services=services)
    assert complete(lost, passed, refused, services=services)


def test_a_connection_is_told_of_once() -> None:
    """Envoy takes plaintext that it looked into for TLS for a failed handshake, and says so besides."""
    peek: dict[str, Any] = {
        "layer": "tcp",
        "name": None,
        "downstream_failure": "TLS_error|error:1000009c:HTTP_REQUEST",
    }
    address: dict[str, Any] = {"downstream_direct_remote": f"{PLAIN.ip}:40000"}
    one = exchange(caller=PLAIN, remote_address=f"{B.ip}:9080")
    whole = joined(one, inbound(**address), line(B, "inbound", **peek, **address))
    assert places(whole) == ["inbound default/b-1"]
    alone = joined(exchange(caller=PLAIN, outcome=Outcome.RESET), line(B, "inbound", **peek, **address))
    assert [hop.layer for hop in alone.hops] == ["tcp"]


def test_calls_that_the_application_reports_are_expected_too() -> None:
    inner = {"workload": "c", "namespace": "default", "pod": "c-1"}
    call = {"url": "http://c:9080/", "outcome": "response", "status": 200, "body": inner}
    backend = BackendReply(
        workload="b", namespace="default", pod="b-1", request=BackendRequest(), calls=(call,)
    )
    one = exchange(backend=backend)
    onward = line(B, "outbound", later=0.003, upstream="10.244.0.3:9080", upstream_local="10.244.0.2:50001")
    assert not joined(one, outbound(), inbound()).complete
    assert not joined(one, outbound(), inbound(), onward).complete
    whole = joined(one, outbound(), inbound(), onward, inbound(C, later=0.004))
    assert places(whole)[2:] == ["outbound default/b-1", "inbound default/c-1"]
    assert whole.complete


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNRESOLVED])
def test_what_never_connected_has_no_lines(outcome: Outcome) -> None:
    assert joined(exchange(outcome=outcome, local_address="")).complete


def test_what_goes_to_the_inbound_listener_is_logged_there() -> None:
    one = exchange(outcome=Outcome.RESET, remote_address="10.244.0.2:15006")
    refused = line(A, "inbound", name=None, downstream_direct_remote="10.244.0.1:40000", upstream=None)
    assert joined(one, refused).complete
    assert not joined(one).complete


def test_connections_that_are_not_intercepted_leave_no_line() -> None:
    caller = pod("a", A.ip, excludeOutboundPorts="9080")
    log = AccessLog()
    assert join([exchange(caller=caller)], log, [caller], timeout=0.01)[0].complete
    for own in (A.ip, "127.0.0.1"):
        assert join([exchange(remote_address=f"{own}:8080")], log, [A], timeout=0.01)[0].complete


def test_a_pod_whose_sidecar_was_killed_is_not_waited_for() -> None:
    log = AccessLog()
    log.feed(A.key, outbound())
    began = time.monotonic()
    assert join([exchange()], log, PODS, timeout=5, silent=[B.key])[0].complete
    assert time.monotonic() - began < 1


def test_lines_that_are_no_json_are_counted_and_passed_over() -> None:
    log = AccessLog()
    log.feed(A.key, b"[warning] something\n\n" + outbound())
    log.feed(B.key, inbound())
    assert join([exchange()], log, PODS, timeout=1)[0].complete
    assert log.garbled == 1


def test_ten_thousand_exchanges_are_joined_within_seconds() -> None:
    log = AccessLog()
    names = [f"mt-1-{number}" for number in range(10_000)]
    for name in names:
        log.feed(A.key, outbound(name=name))
        log.feed(B.key, inbound(name=name))
    began = time.monotonic()
    ended = join([exchange(name=name) for name in names], log, PODS, timeout=30)
    assert all(one.complete and len(one.hops) == 2 for one in ended)
    assert time.monotonic() - began < 10


def tcp(**fields: Any) -> Exchange:
    return exchange(protocol=Protocol.TCP, status=None, **fields)


def connected(at: Pod, address: str, **fields: Any) -> bytes:
    """A line at the sidecar of `at`, about a connection that it was told comes from `address`."""
    given = {"name": None, "bytes_out": 20, "downstream_direct_remote": address, **fields}
    return outbound(**given) if at is A else inbound(at, **given)


@pytest.mark.parametrize(
    "lines",
    [
        (connected(A, "10.244.0.1:1027"), connected(B, "10.244.0.1:50000")),
        (connected(A, "10.244.0.1:40000"), connected(B, "10.244.0.1:1027")),
        (connected(A, "10.244.0.1:1027"), connected(B, "10.244.0.1:1028")),
    ],
    ids=["by-the-callers-redirect", "by-the-callees-redirect", "by-both"],
)
def test_a_connection_that_the_kernel_gave_another_port_is_the_one_that_is_left_over(
    lines: tuple[bytes, ...],
) -> None:
    one = joined(tcp(), *lines, timeout=0.5)
    assert (places(one), one.complete) == (["outbound default/a-1", "inbound default/b-1"], True)


@pytest.mark.parametrize(
    "stranger",
    [
        connected(B, "10.244.0.3:1027"),
        connected(B, "10.244.0.1:1027", later=-60.0),
        connected(C, "10.244.0.1:1027"),
        line(A, "outbound", name="mt-1-9", upstream_local="10.244.0.1:1027")
        + connected(B, "10.244.0.1:1027"),
        connected(B, "10.244.0.1:1027") + connected(B, "10.244.0.1:1028"),
    ],
    ids=["from-another-pod", "at-another-time", "at-another-pod", "opened-by-another", "one-of-two"],
)
def test_what_may_be_anothers_connection_is_nobodys(stranger: bytes) -> None:
    one = joined(tcp(), connected(A, "10.244.0.1:40000"), *stranger.splitlines(keepends=True))
    assert (places(one), one.complete) == (["outbound default/a-1"], False)


def test_whose_port_it_was_a_minute_ago_has_no_say() -> None:
    before = line(A, "outbound", name="mt-1-9", later=-60.0, upstream_local="10.244.0.1:1027")
    one = joined(
        tcp(), before, connected(A, "10.244.0.1:40000"), connected(B, "10.244.0.1:1027"), timeout=0.5
    )
    assert (places(one), one.complete) == (["outbound default/a-1", "inbound default/b-1"], True)


def test_a_connection_that_two_look_for_is_nobodys() -> None:
    log = AccessLog()
    log.feed(A.key, connected(A, "10.244.0.1:1027"))
    two = tcp(), tcp(name="mt-1-2", local_address="10.244.0.1:40001")
    assert [one.complete for one in join(two, log, PODS, timeout=0.05, grace=0.01)] == [False, False]


def test_a_connection_that_another_request_made_is_its_own() -> None:
    log = AccessLog()
    log.feed(A.key, connected(A, "10.244.0.1:40000", bytes_out=0))
    assert join([tcp()], log, PODS, timeout=0.05, grace=0.01)[0].complete
    (later,) = join(
        [tcp(name="mt-1-2", local_address="10.244.0.1:40001")], log, PODS, timeout=0.05, grace=0.01
    )
    assert (later.hops, later.complete) == ((), False)


CONNECTED = line(
    A,
    "outbound",
    name=None,
    bytes_out=20,
    downstream_direct_remote="10.244.0.1:40000",
    upstream=f"{GATEWAY.ip}:15021",
    upstream_local=f"{A.ip}:50000",
)


@pytest.mark.parametrize(
    ("caller", "remote", "lines", "hops"),
    [
        (A, f"{B.ip}:15021", (), []),
        (A, f"{GATEWAY.ip}:15021", (), []),
        (A, f"{B.ip}:15090", (), []),
        (PLAIN, f"{GATEWAY.ip}:15090", (), []),
        (PLAIN, f"{GATEWAY.ip}:15021", (), []),
        (PLAIN, "10.96.0.21:15021", (), []),
        (
            A,
            "10.96.0.21:15021",
            (CONNECTED,),
            ["outbound default/a-1"],
        ),
    ],
    ids=[
        "of-the-caller",
        "of-the-caller-again",
        "counted",
        "counted-by-a-gateway",
        "of-the-pod",
        "behind-a-service",
        "by-a-sidecar",
    ],
)
def test_where_an_envoy_answers_for_itself_nothing_is_logged(
    caller: Pod, remote: str, lines: tuple[bytes, ...], hops: list[str]
) -> None:
    log = AccessLog()
    for each in lines:
        log.feed(A.key, each)
    services = {"10.96.0.21": {15021: [Backend(ip=GATEWAY.ip, port=15021)]}}
    one = exchange(caller=caller, remote_address=remote)
    began = time.monotonic()
    (found,) = join([one], log, PODS, timeout=5, services=services)
    assert (places(found), found.complete) == (hops, True)
    assert time.monotonic() - began < 3

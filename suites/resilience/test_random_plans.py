"""After any plan of faults the mesh is as a fresh one: configuration, rules, processes, names, counters."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from meshtest import Mesh, faults
from meshtest.errors import ScenarioError, Unsupported
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.fault_identity import IDENTITY_FAULTS
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.scenario.faults import FaultSpec

BOOKINFO = Path(__file__).parents[2] / "fixtures" / "bookinfo"
PLANS = int(os.environ.get("MESHTEST_FAULT_PLANS", "20"))
WORKLOADS = ("details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews")
RESOLVE = "import socket, sys; print([socket.gethostbyname(name) for name in sys.argv[1:]])"
CHANGES_BY_ITSELF = {"last_updated", "version_info", "generation"}
"""`generation` is meshtest's stamp, which has Envoy open its connections anew; a new control plane begins a new row."""
EDGES = ("details", "details-v1", "ratings", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")
"""Services that productpage calls: one for each replica, so that who gets how many requests is up to nobody."""
SENT = 6
COUNTERS = (
    r"upstream_rq_(total|completed|[1-5]xx|retry.*|timeout|per_try_timeout|[rt]x_reset|pending_(overflow|failure_eject))"
    r"|upstream_cx_connect_(fail|timeout)|downstream_rq_([1-5]xx|rx_reset|total)|no_route|no_cluster"
    r"|ssl\.(connection_error|fail_.*)|(aborts|delays)_injected|rbac\..*|ejections_(enforced|detected).*"
    r"|(update_(rejected|failure))"
)
LEVELS = (
    r"ejections_active|circuit_breakers\..*_open|connected_state|membership_(total|healthy|degraded|excluded)"
    r"|warming_clusters|total_listeners_(active|warming|draining)|active_clusters|faults_overflow|active_faults"
)
COMES_AND_GOES = r"http\.(admin|probe)|listener\.|cluster\.(inbound|Pass).*membership"
"""Not of the requests; and clusters that make a host of every address that was dialled, until it is idle."""
MEANS = re.compile(rf"^(?!{COMES_AND_GOES})(.*[.;])?({COUNTERS}|{LEVELS}): (\d+)$", re.MULTILINE)
IS_LEVEL = re.compile(rf"(^|.*[.;])({LEVELS})")
ENDS_CONNECTIONS = {"kill", "stop", "restart", *IDENTITY_FAULTS, *CONNECTION_FAULTS}
REFUSED = re.compile(r"cannot be under both|the control plane is \w+ (when|already)")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    try:
        started = Mesh.from_manifests(str(BOOKINFO), seed=1)
    except Unsupported as exc:
        pytest.skip(str(exc))
    with started:
        yield started


def during() -> st.SearchStrategy[Any]:
    times = st.tuples(st.sampled_from([0.0, 0.05, 0.1]), st.sampled_from([0.05, 0.1, 0.3, None]))
    return st.none() | times


def plans() -> st.SearchStrategy[list[FaultSpec]]:
    to, part = st.sampled_from(WORKLOADS), st.sampled_from(["application", "sidecar"])
    some = {"to": to, "part": part, "during": during()}
    processes = [st.builds(make, **some) for make in (faults.kill, faults.stop, faults.pause, faults.restart)]
    share = st.sampled_from([5, 50, 100])
    packets = [
        st.builds(faults.loss, to=to, percentage=share, during=during()),
        st.builds(faults.partition, to, st.sampled_from([None, "productpage-v1"]), one_way=st.booleans()),
    ]
    names = [
        st.builds(
            faults.dns,
            to=st.sampled_from(["reviews", "ratings"]),
            nxdomain=st.just(value=True),
            during=during(),
        ),
        st.builds(faults.dns, to=st.just("reviews"), address=st.just("10.0.0.9"), delay=st.just(0.05)),
    ]
    requests = [
        st.builds(faults.abort, to=to, percentage=share, during=during()),
        st.builds(faults.abort, to=to, attempts=st.just([1]), path_prefix=st.just("/")),
        st.builds(faults.response_rate, to=to, kib_per_second=st.just(1), percentage=share),
        st.builds(faults.delay, to=to, fixed_delay=st.just(0.05), first=st.just(5)),
    ]
    families = (processes, packets, names, requests, lines(), identities(), control_planes())
    fault = st.sampled_from(range(len(families))).flatmap(lambda number: st.one_of(*families[number]))
    return st.lists(fault, min_size=1, max_size=4)


def lines() -> list[st.SearchStrategy[FaultSpec]]:
    """Faults of connections."""
    where = {
        "to": st.sampled_from(WORKLOADS),
        "from_": st.sampled_from(["productpage-v1", None]),
        "during": during(),
    }
    both = {**where, "stream": st.sampled_from(["upstream", "downstream", "both"])}
    return [
        st.builds(faults.down, **where),
        st.builds(faults.latency, latency=st.just(0.02), jitter=st.just(0.01), **both),
        st.builds(faults.bandwidth, rate=st.just(50), **both),
        st.builds(faults.slow_close, delay=st.just(0.2), **both),
        st.builds(faults.timeout, timeout=st.sampled_from([0.0, 0.05]), **both),
        st.builds(faults.reset_peer, timeout=st.sampled_from([0.0, 0.05]), **both),
        st.builds(faults.slicer, average_size=st.just(64), delay=st.just(0.0001), **both),
        st.builds(faults.limit_data, limit=st.sampled_from([10, 3000]), **both),
    ]


def identities() -> list[st.SearchStrategy[FaultSpec]]:
    """Faults of certificates and TLS."""
    where = {"to": st.sampled_from(WORKLOADS), "during": during()}
    flaws: list[dict[str, Any]] = [
        {"expired": True},
        {"not_yet_valid": True},
        {"unknown_ca": True},
        {"self_signed": True},
        {"identity": "spiffe://cluster.local/ns/default/sa/somebody"},
        {"trust_domain": "elsewhere.test"},
    ]
    return [
        *(st.builds(faults.certificate, **where, **_just(flaw)) for flaw in flaws),
        st.builds(faults.root_removed, **where),
        st.builds(faults.rotation, every=st.just(0.05), **where),
        st.builds(faults.tls, max_version=st.sampled_from(["TLSv1_1", "TLSv1_2"]), **where),
    ]


def control_planes() -> list[st.SearchStrategy[FaultSpec]]:
    """Faults of the control plane, of single sidecars or of all."""
    to = {"to": st.sampled_from([None, *WORKLOADS]), "during": during()}
    return [
        st.builds(faults.control_plane_down, during=during()),
        st.builds(faults.control_plane_paused, during=during()),
        st.builds(faults.slow_push, delay=st.just(0.05), **to),
        st.builds(faults.partial_push, to=st.sampled_from(WORKLOADS), during=during()),
        st.builds(faults.rejected_push, **to),
        st.builds(faults.stale_endpoints, **to),
        st.builds(faults.secrets_withheld, **to),
    ]


def _just(fields: dict[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {key: st.just(value) for key, value in fields.items()}


def plain(value: Any) -> Any:
    """Without what counts up from one start of an Envoy to the next."""
    if isinstance(value, dict):
        if "certificate_chain" in value:
            return certificates(value["certificate_chain"]["inline_string"])
        if "trusted_ca" in value:
            return certificates(value["trusted_ca"]["inline_string"], keys=True)
        kept = {key: plain(each) for key, each in value.items() if key not in CHANGES_BY_ITSELF}
        return {key: each for key, each in kept.items() if each != {}}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=_text)
    return value


def certificates(chain: str, *, keys: bool = False) -> list[str]:
    """All of a chain that does not change with every new certificate of the same kind; an authority keeps its key."""
    return [
        f"{one.issuer} {one.subject} {one.not_valid_after_utc - one.not_valid_before_utc}"
        f" {_public(one) if keys else ''} {[each for each in one.extensions if 'key' not in each.oid._name.lower()]}"
        for one in x509.load_pem_x509_certificates(chain.encode())
    ]


def _public(certificate: x509.Certificate) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(serialization.Encoding.DER, form).hex()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def state(mesh: Mesh) -> dict[str, Any]:
    sandbox = mesh._sandbox
    found: dict[str, Any] = {"rules": sandbox.rules(), "processes": processes(sandbox._launcher._process.pid)}  # type: ignore[attr-defined]  # netns
    for pod in mesh.pods:
        if pod.has_envoy:
            found[f"served to {pod.key}"] = plain(
                json.loads(sandbox.control_plane.call("dump", timeout=10, proxy=pod.node_id).payload)
            )
            shown = json.loads(mesh.admin(pod.key, "/config_dump"))["configs"]
            found[f"used by {pod.key}"] = plain([one for one in shown if "Bootstrap" not in one["@type"]])
    services = [service.name for service in mesh.services]
    found["names"] = mesh.execute("productpage-v1", ["python3", "-c", RESOLVE, *services]).stdout
    return found


def processes(root: int) -> list[str]:
    """What runs below a process, by name, and whether it stands still."""
    children: dict[int, list[tuple[int, str]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        stands = " stands still" if rest[0] in {"T", "t"} else ""
        children.setdefault(int(rest[1]), []).append((int(path.parent.name), name + stands))
    found, waiting = [], [root]
    while waiting:
        for pid, name in children.get(waiting.pop(), []):
            found.append(name)
            waiting.append(pid)
    return sorted(found)


def counters(mesh: Mesh) -> dict[str, int]:
    """What the sidecars count that tells how requests fared, and how things stand."""
    found: dict[str, int] = {}
    for pod in mesh.pods:
        if pod.has_envoy:
            for match in MEANS.finditer(mesh.admin(pod.key, "/stats?usedonly")):
                name, _, value = match[0].rpartition(": ")
                found[f"{pod.key} {name}"] = int(value)
    return found


def unconnected(mesh: Mesh) -> list[str]:
    """Streams to the control plane that Envoy has not opened again: for secrets, it takes its time."""
    return [key for key, value in counters(mesh).items() if key.endswith("connected_state") and not value]


def requests_cause(mesh: Mesh) -> dict[str, int]:
    """How much the same few requests on every edge move each counter; a level is told as it is."""
    before = counters(mesh)
    for service in EDGES:
        mesh.send("productpage-v1", f"http://{service}:9080/", requests=SENT, timeout=3)
    moved = {
        key: value if IS_LEVEL.fullmatch(key.partition(" ")[2]) else value - before.get(key, 0)
        for key, value in counters(mesh).items()
    }
    return {key: value for key, value in moved.items() if value}


class Fresh:
    """What was found before the first fault; Hypothesis is spared its text."""

    def __init__(self, mesh: Mesh) -> None:
        with mesh.inject(faults.latency(latency=0.001, to="details-v1")):
            work(mesh)  # Toxiproxy is started once, and stays
        self.caused = requests_cause(mesh)
        self.state = state(mesh)

    def differences(self, mesh: Mesh) -> list[str]:
        now = state(mesh)
        return [f"{key}: {_first(was, now[key])}" for key, was in self.state.items() if now[key] != was]

    def counts(self, mesh: Mesh) -> list[str]:
        """How requests fare otherwise than they did at first."""
        was, now = self.caused, requests_cause(mesh)
        keys = sorted({*was, *now})
        return [
            f"{key}: {was.get(key, 0)} became {now.get(key, 0)}"
            for key in keys
            if was.get(key, 0) != now.get(key, 0)
        ]


def _first(was: Any, now: Any) -> str:
    """The first place where two texts part."""
    old, new = _text(was), _text(now)
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"...{old[max(0, at - 300) : at + 200]} became ...{new[max(0, at - 20) : at + 200]}"


@pytest.fixture(scope="module")
def fresh(mesh: Mesh) -> Fresh:
    return Fresh(mesh)


def work(mesh: Mesh, *, within: float = 0.0) -> None:
    """Every service answers, at the latest after a while."""
    wait_until(lambda: not failures(mesh), within, lambda: f"still failing: {failures(mesh)}")


def failures(mesh: Mesh) -> list[str]:
    found = []
    for service in (*EDGES, "reviews"):
        history = mesh.send(
            "productpage-v1", f"http://{service}:9080/", requests=SENT, concurrency=2, timeout=3
        )
        found += [
            f"{service} {each.status} {each.outcome.value}"
            for each in history.exchanges
            if each.status != 200
        ]
    return found


def leaves_dead_connections(plan: list[FaultSpec]) -> bool:
    """Whether connections may have ended while a peer could not be told, who learns it from its next request."""
    kinds = {fault.kind for fault in plan}
    return bool(kinds & {"loss", "partition"} and kinds & ENDS_CONNECTIONS)


def arrives_late(plan: list[FaultSpec]) -> bool:
    """Whether TCP may send again, once the network is whole, a request whose caller has given up long ago."""
    return any(fault.kind in {"loss", "partition"} for fault in plan)


@settings(
    max_examples=PLANS, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(plan=plans())
def test_after_any_plan_the_mesh_is_as_a_fresh_one(mesh: Mesh, fresh: Fresh, plan: list[FaultSpec]) -> None:
    mesh.begin(1)
    try:
        with mesh.inject(*plan):
            mesh.send("productpage-v1", "http://reviews:9080/", rate=100, duration=0.25, timeout=0.4)
    except ScenarioError as exc:
        assert REFUSED.search(str(exc))  # noqa: PT017 - those that run are counted, not these
        reject()
    assert len(mesh.fault_windows) == len(plan)
    wait_until(lambda: not unconnected(mesh), 15, lambda: f"not connected again: {unconnected(mesh)}")
    work(mesh, within=5.0 if leaves_dead_connections(plan) else 0.0)
    counted: list[str] = []

    def fares_as_ever() -> bool:
        counted[:] = fresh.counts(mesh)
        return not counted

    wait_until(fares_as_ever, 5.0 if arrives_late(plan) else 0.0, lambda: "; ".join(counted[:20]))
    differences = fresh.differences(mesh)
    assert not differences, differences[0]

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.istiod.engine import Engine, EnginePanic, Rejected
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    # The fixtures' types; conftest itself cannot be imported by name here.
    Cluster = Any
    Told = Any

CREATED = "2026-01-01T00:00:00Z"


def make(api_version: str, kind: str, name: str, spec: object, namespace: str = "default") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": CREATED}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def routed(timeout: str) -> dict[str, Any]:
    rule = {"timeout": timeout, "route": [{"destination": {"host": "back", "subset": "v1"}}]}
    return make("networking.istio.io/v1", "VirtualService", "back", {"hosts": ["back"], "http": [rule]})


def subsets(limit: int) -> dict[str, Any]:
    spec = {
        "host": "back",
        "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": limit}}},
        "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
    }
    return make("networking.istio.io/v1", "DestinationRule", "back", spec)


def http_route(prefix: str) -> dict[str, Any]:
    rule = {
        "matches": [{"path": {"value": prefix}}],  # its type, PathPrefix, is a default
        "backendRefs": [{"name": "front", "port": 80}],
    }
    parents = [{"group": "", "kind": "Service", "name": "back"}]
    return make("gateway.networking.k8s.io/v1", "HTTPRoute", "back", {"parentRefs": parents, "rules": [rule]})


def grpc_route() -> dict[str, Any]:
    parents = [{"group": "", "kind": "Service", "name": "back"}]
    rule = {"backendRefs": [{"name": "front", "port": 80}]}
    return make("gateway.networking.k8s.io/v1", "GRPCRoute", "back", {"parentRefs": parents, "rules": [rule]})


def entry(address: str) -> dict[str, Any]:
    spec = {
        "hosts": ["outside.example"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": address}],
    }
    return make("networking.istio.io/v1", "ServiceEntry", "outside", spec)


def allowed(principal: str) -> dict[str, Any]:
    rules = [{"from": [{"source": {"principals": [f"cluster.local/ns/default/sa/{principal}"]}}]}]
    return make("security.istio.io/v1", "AuthorizationPolicy", "back", {"rules": rules})


def denied(path: str, *, app: str | None = "back", namespace: str = "default") -> dict[str, Any]:
    """An AuthorizationPolicy for one application, or for all that its namespace is about."""
    spec: dict[str, Any] = {"action": "DENY", "rules": [{"to": [{"operation": {"paths": [path]}}]}]}
    if app is not None:
        spec["selector"] = {"matchLabels": {"app": app}}
    return make("security.istio.io/v1", "AuthorizationPolicy", "denied", spec, namespace)


def mtls(mode: str) -> dict[str, Any]:
    return make(
        "security.istio.io/v1", "PeerAuthentication", "default", {"mtls": {"mode": mode}}, "istio-system"
    )


def patched(timeout: str) -> dict[str, Any]:
    patch = {
        "applyTo": "CLUSTER",
        "match": {"context": "SIDECAR_OUTBOUND"},
        "patch": {"operation": "MERGE", "value": {"connect_timeout": timeout}},
    }
    return make("networking.istio.io/v1alpha3", "EnvoyFilter", "timeout", {"configPatches": [patch]})


def scoped(host: str) -> dict[str, Any]:
    hosts = [f"./{host}.default.svc.cluster.local"]
    return make("networking.istio.io/v1", "Sidecar", "default", {"egress": [{"hosts": hosts}]})


def leaving_by(port: int) -> dict[str, Any]:
    proxy = {"host": "back.default.svc.cluster.local", "port": {"number": port}}
    policy = {"mode": "ALLOW_ANY", "egressProxy": proxy}
    return make("networking.istio.io/v1", "Sidecar", "default", {"outboundTrafficPolicy": policy})


KINDS = {
    "VirtualService": (routed("3s"), routed("4s")),
    "DestinationRule": (subsets(1), subsets(2)),
    "HTTPRoute": (http_route("/a"), http_route("/b")),
    "ServiceEntry": (entry("1.2.3.4"), entry("1.2.3.5")),
    "AuthorizationPolicy": (allowed("front"), allowed("other")),
    "PeerAuthentication": (mtls("STRICT"), mtls("DISABLE")),
    "EnvoyFilter": (patched("3s"), patched("4s")),
    "Sidecar": (scoped("front"), scoped("back")),
    "egressProxy": (leaving_by(80), leaving_by(81)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tells_after_each_change_what_a_fresh_engine_tells(
    told: Told, fresh: Callable[[Told], object], kind: str
) -> None:
    first, second = KINDS[kind]
    before = {name: dict(resources) for name, resources in told.state.items()}

    told.update(first)
    assert told.state != before
    assert told.state == fresh(told)

    update = told.update(second)
    print(kind, {name: round(ms, 1) for name, ms in update.timings.items()})  # noqa: T201 - shown, not asserted
    assert told.state == fresh(told)

    told.update(gone=(second,))
    assert told.state == before


def named(header: dict[str, Any]) -> set[tuple[str, str]]:
    return {(kind, name) for changes in header["proxies"].values() for kind, name, *_ in changes["set"]}


def test_follows_endpoints(told: Told, cluster: Cluster, fresh: Callable[[Told], object]) -> None:
    update = told.update(cluster.endpoints("back", ready=1))
    assert {kind for kind, _ in named(update.header)} == {"EDS"}
    assert told.state == fresh(told)


def test_follows_services(told: Told, cluster: Cluster, fresh: Callable[[Told], object]) -> None:
    before = {name: dict(resources) for name, resources in told.state.items()}
    added = cluster.service("other", selects="back", port=81)
    told.update(*added)
    assert told.state == fresh(told)
    told.update(gone=tuple(added))
    assert told.state == before


def test_follows_pods_and_their_proxies(
    told: Told, cluster: Cluster, fresh: Callable[[Told], object]
) -> None:
    cluster.workload("late")
    told.update(cluster.objects[-1], proxies=cluster.proxies)
    assert len(told.state) == 4
    assert told.state == fresh(told)
    told.update(gone=(cluster.objects[-1],), proxies=cluster.proxies[:-1])
    assert len(told.state) == 3
    assert told.state == fresh(told)


def test_a_new_proxy_of_the_same_name_is_told_everything(told: Told) -> None:
    (first, *_) = told.proxies
    update = told.engine.update(remove_proxies=[first["id"]], proxies=told.proxies)
    assert set(update.header["proxies"]) == {first["id"]}
    assert {kind for kind, *_ in update.header["proxies"][first["id"]]["set"]} >= {"CDS", "EDS", "LDS", "RDS"}


def test_tells_only_what_changed(told: Told) -> None:
    told.update(subsets(1))
    told.update(routed("3s"))
    update = told.update(routed("4s"))
    assert named(update.header) == {("RDS", "80")}
    assert told.update(routed("4s")).header == {"proxies": {}}


def test_a_policy_for_some_workloads_has_nothing_made_for_the_others(
    told: Told, fresh: Callable[[Told], object]
) -> None:
    """Istio's own rule stops at the policy's namespace."""
    changed = {
        "comes": ((denied("/a"),), (), {"back"}),
        "changes": ((denied("/b"),), (), {"back"}),
        "moves": ((denied("/b", app="front"),), (), {"front", "back"}),
        "is for nobody": ((denied("/b", app="nobody"),), (), {"front"}),
        "stays for nobody": ((denied("/c", app="nobody"),), (), set()),
        "is for the namespace": ((denied("/c", app=None),), (), {"front", "back"}),
        "goes": ((), (denied("/c", app=None),), {"front", "back"}),
        "of another namespace": ((denied("/c", app=None, namespace="other"),), (), set()),
        "for a name of the mesh": ((denied("/c", namespace="istio-system"),), (), {"back"}),
    }
    workloads = {proxy["id"]: proxy["cluster"].partition(".")[0] for proxy in told.proxies}
    for case, (new, gone, expected) in changed.items():
        update = told.update(*new, gone=gone)
        concerned = {node for node, app in workloads.items() if app in expected}
        assert (case, set(update.header["proxies"]), update.generated) == (case, concerned, len(concerned))
        assert (case, told.state) == (case, fresh(told))


def test_a_policy_that_comes_with_another_change_is_not_passed_over(
    told: Told, fresh: Callable[[Told], object]
) -> None:
    assert told.update(denied("/a", app="nobody"), mtls("STRICT")).generated == 3
    assert told.state == fresh(told)


def test_stores_equal_resources_once(told: Told) -> None:
    update = told.update(routed("3s"))
    places = {
        (change[2], change[3]) for changes in update.header["proxies"].values() for change in changes["set"]
    }
    assert len(update.header["proxies"]) == 3
    assert places == {(0, len(update.payload))}


def test_a_new_format_of_the_access_log_takes_the_place_of_the_old(told: Told) -> None:
    """istiod builds the log once and keeps it, for as long as nobody tells it of a change."""
    for text in ("one", "two"):
        told.update(mesh_config=f"{{accessLogFile: /dev/stdout, accessLogFormat: format-{text}}}")
        listeners = b"".join(
            blob for state in told.state.values() for (kind, _), blob in state.items() if kind == "LDS"
        )
        assert f"format-{text}".encode() in listeners
    assert b"format-one" not in listeners


def test_takes_mesh_configuration(told: Told) -> None:
    update = told.engine.update(mesh_config="outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    assert "RDS" in {kind for kind, _ in named(update.header)}
    assert told.engine.update(mesh_config="").header["proxies"].keys() == told.state.keys()
    with pytest.raises(ScenarioError, match=r"^meshConfig: .*outbondTrafficPolicy"):
        told.engine.update(mesh_config="outbondTrafficPolicy: {}")


@pytest.mark.parametrize(
    ("spec", "code", "path"),
    [
        ({"hosts": ["back"], "http": [{"retires": {}}]}, "unknown-field", "spec.http[0].retires"),
        ({"hosts": ["back"], "http": [{"timeout": 3}]}, "schema", "spec.http[0].timeout"),
        ({"hosts": ["back"], "http": [{"timeout": "3x"}]}, "cel", "spec.http[0].timeout"),
        ({"hosts": ["back"], "http": [{"name": "neither route nor redirect"}]}, "admission", ""),
    ],
    ids=["unknown-field", "type", "rule", "admission"],
)
def test_a_refused_object_changes_nothing(told: Told, spec: object, code: str, path: str) -> None:
    with pytest.raises(Rejected) as raised:
        told.engine.update(set=[subsets(1), make("networking.istio.io/v1", "VirtualService", "bad", spec)])
    (message, *_) = raised.value.messages
    assert (message.level, message.code, message.path) == ("error", code, path)
    assert str(message.object) == "VirtualService default/bad"
    assert told.engine.update().header == {"proxies": {}}
    assert told.update(subsets(1)).generation == 3  # the refused one does not count


def test_null_is_as_if_it_were_not_written(told: Told) -> None:
    route = {"destination": {"host": "back", "subset": None, "port": None}}
    spec = {"hosts": ["back"], "gateways": None, "http": [{"match": None, "timeout": None, "route": [route]}]}
    assert told.engine.validate([make("networking.istio.io/v1", "VirtualService", "back", spec)]) == []


def test_refuses_unknown_fields_of_core_kinds(told: Told) -> None:
    service = make("v1", "Service", "odd", {"ports": [{"port": 80, "targtPort": 8080}]})
    (message,) = told.engine.validate([service])
    assert (message.code, message.path) == ("unknown-field", "spec.ports[0].targtPort")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ({"path": "/", "pathType": "Prefix"}, ""),
        ({"path": "/"}, "spec.rules[0].http.paths[0].pathType"),
        ({"path": "shop", "pathType": "Exact"}, "spec.rules[0].http.paths[0].path"),
    ],
    ids=["good", "no type", "not absolute"],
)
def test_judges_ingresses(told: Told, path: dict[str, Any], wrong: str) -> None:
    backend = {"service": {"name": "back", "port": {"number": 80}}}
    spec = {"rules": [{"host": "a.example", "http": {"paths": [{**path, "backend": backend}]}}]}
    messages = told.engine.validate([make("networking.k8s.io/v1", "Ingress", "shop", spec)])
    assert [message.path for message in messages] == ([wrong] if wrong else [])


def test_passes_warnings_on(told: Told) -> None:
    rule = {"route": [{"destination": {"host": "back"}}]}
    twice = make(
        "networking.istio.io/v1", "VirtualService", "twice", {"hosts": ["back"], "http": [rule, rule]}
    )
    (message,) = told.update(twice).messages
    assert (message.level, message.code) == ("warning", "IST0130")


def test_analyzes_objects_with_any_character(start: Callable[[], Engine]) -> None:
    text = make("v1", "ConfigMap", "texts", {})
    text["data"] = {"emoji": "\U0001f600", "number": "9007199254740993", "markup": "<a & b>"}
    assert start().analyze([text]) == []


def test_analyzes_without_touching_istiod(told: Told, cluster: Cluster) -> None:
    (message,) = told.engine.analyze([*cluster.objects, routed("3s")])
    assert (message.level, message.code) == ("error", "IST0101")
    assert message.path == "spec.http[0].route[0].destination.host"
    assert told.engine.update().header == {"proxies": {}}


def test_gives_the_status_of_routes(told: Told) -> None:
    told.update(http_route("/a"))
    (route,) = told.engine.status()
    conditions = {c["type"]: c["status"] for c in route["status"]["parents"][0]["conditions"]}
    assert conditions == {"Accepted": "True", "ResolvedRefs": "True"}


@pytest.mark.parametrize("number", range(6))  # what it is about happens once in a new engine, and not always
def test_takes_the_first_routes_at_once(told: Told, number: int) -> None:
    """istiod's collections look at each other for the first time then, and may do so from two sides."""
    before = told.engine.pid
    told.update(grpc_route(), routed(f"{number + 1}s"))
    told.update(http_route("/a"), gone=(grpc_route(),))
    assert told.engine.pid == before  # it did not have to be started again


def test_goes_on_after_a_panic_of_istiod(told: Told, fresh: Callable[[Told], object]) -> None:
    told.update(subsets(1))
    before = told.engine.pid
    # istiod's generators for sidecars do not expect a proxy of this type, which none of its own clients has.
    odd = {**told.proxies[0], "id": "agentgateway~10.244.9.9~odd.default~default.svc.cluster.local"}
    with pytest.raises(EnginePanic, match="nil pointer"):
        told.engine.update(set=[routed("3s")], proxies=[*told.proxies, odd])
    assert told.engine.update().header == {"proxies": {}}
    told.update(routed("4s"))
    assert told.state == fresh(told)
    assert told.engine.pid == before


def test_comes_back_from_the_dead_with_what_it_knew(told: Told, fresh: Callable[[Told], object]) -> None:
    told.update(subsets(1))
    dead = told.engine.pid
    os.kill(dead, signal.SIGKILL)
    told.update(routed("3s"))
    assert told.engine.pid != dead
    assert told.state == fresh(told)


def test_ends_with_its_input(binary: Path) -> None:
    engine = Engine.start(binary)
    pid = engine.pid
    engine.versions()
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_ends_when_its_owner_is_killed(binary: Path) -> None:
    script = (
        "import pathlib, signal; from meshtest.istiod.engine import Engine;"
        f"print(Engine.start(pathlib.Path({str(binary)!r})).pid, flush=True); signal.pause()"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert _runs(pid)
        owner.kill()
    wait_until(lambda: not _runs(pid), 5, lambda: f"engine {pid} still runs")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_speed(told: Told) -> None:
    told.update(subsets(1))
    told.update(routed("1s"))
    started = time.perf_counter()
    for number in range(20):
        told.update(routed(f"{number + 2}s"))
    print(f"{(time.perf_counter() - started) / 20 * 1000:.1f} ms per VirtualService")  # noqa: T201 - shown

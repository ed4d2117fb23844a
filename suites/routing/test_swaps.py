"""After any sequence of apply, replace and delete the mesh is what a fresh one would be, from the next request on.

What must hold is written down here a second time, in a few lines of Python that know these few policies only; what a
fresh mesh would have is asked of a new engine, and compared with what every Envoy says it runs.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import envoy.extensions
import pytest
from envoy.config.listener.v3 import listener_pb2
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest import Mesh
from meshtest.envoy.decorate import Context, Decorator
from meshtest.envoy.resources import Resource
from meshtest.errors import Unsupported
from meshtest.istiod.binary import find_or_build
from meshtest.istiod.engine import Engine
from meshtest.live.assembly import DIRECTORY
from meshtest.live.control import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIXTURES = Path(__file__).parents[2] / "fixtures"
SEQUENCES = int(os.environ.get("MESHTEST_SWAPS", "25"))
TIME = "2026-01-01T00:00:00Z"
"""All policies are of one age, so that a state does not depend on the way that led there."""
HEAD = """
apiVersion: {version}
kind: {kind}
metadata: {{name: {name}, creationTimestamp: "{time}"}}
spec: {spec}
"""


def policy(version: str, kind: str, name: str, spec: str) -> str:
    return HEAD.format(version=version, kind=kind, name=name, spec=spec, time=TIME)


def reviews(subset: str) -> str:
    spec = f"{{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]}}"
    return policy("networking.istio.io/v1", "VirtualService", "reviews", spec)


NOBODY = "{selector: {matchLabels: {app: ratings}}, action: DENY, rules: [{}]}"
SOME = "{selector: {matchLabels: {app: ratings}}, rules: [{from: [{source: {principals: [PRINCIPALS]}}]}]}"
MARKED = """
  parentRefs: [{group: "", kind: Service, name: details}]
  rules:
    - backendRefs: [{name: details, port: 9080}]
      filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: {set: [{name: x-swap, value: VALUE}]}
"""


def allowed(*accounts: str) -> str:
    names = ", ".join(f"cluster.local/ns/default/sa/bookinfo-{account}" for account in accounts)
    spec = SOME.replace("PRINCIPALS", names) if accounts else NOBODY
    return policy("security.istio.io/v1", "AuthorizationPolicy", "ratings", spec)


def marked(value: str) -> str:
    return policy("gateway.networking.k8s.io/v1", "HTTPRoute", "details", MARKED.replace("VALUE", value))


def mutual(mode: str) -> str:
    return policy("security.istio.io/v1", "PeerAuthentication", "default", f"{{mtls: {{mode: {mode}}}}}")


def teapot(status: str) -> str:
    spec = f"{{hosts: [ratings], http: [{{directResponse: {{status: {status}}}}}]}}"
    return policy("networking.istio.io/v1", "VirtualService", "ratings", spec)


POLICIES: Mapping[str, Mapping[str, str]] = {
    "reviews": {subset: reviews(subset) for subset in ("v1", "v2", "v3")},
    "ratings": {
        "": allowed(),
        "reviews": allowed("reviews"),
        "productpage": allowed("productpage", "details"),
    },
    "details": {value: marked(value) for value in ("left", "right")},
    "peers": {mode: mutual(mode) for mode in ("STRICT", "DISABLE", "PERMISSIVE")},
    "teapot": {status: teapot(status) for status in ("418", "451")},
}
State = dict[str, str]


@dataclass(frozen=True)
class Probe:
    """One request, and what it must meet in a state."""

    caller: str
    url: str

    def expected(self, state: State) -> dict[str, Any]:
        if "reviews" in self.url:
            chosen = state.get("reviews")
            versions = [chosen] if chosen else ["v1", "v2", "v3"]
            return {"status": 200, "workload": [f"reviews-{version}" for version in versions]}
        if "details" in self.url:
            if (
                self.caller == "legacy/batch"
            ):  # without sidecar: no route is applied, and no certificate shown
                return {"reset": True} if state.get("peers") == "STRICT" else {"status": 200, "x-swap": None}
            return {"status": 200, "x-swap": state.get("details")}
        return {"status": self._ratings(state)}

    def _ratings(self, state: State) -> int:
        if "teapot" in state:
            return int(state["teapot"])
        account = self.caller.partition("-")[0]
        names = {"reviews": ["reviews"], "productpage": ["productpage", "details"], "": []}
        if "ratings" not in state:
            return 200
        identified = state.get("peers") != "DISABLE"
        return 200 if identified and account in names[state["ratings"]] else 403


PROBES = (
    Probe("productpage-v1", "http://reviews:9080/"),
    Probe("productpage-v1", "http://ratings:9080/"),
    Probe("reviews-v2", "http://ratings:9080/"),
    Probe("productpage-v1", "http://details:9080/"),
    Probe("legacy/batch", "http://details.default:9080/"),
)


@dataclass(frozen=True)
class Step:
    """One change, and the state it leads to."""

    action: str
    chosen: State = field(default_factory=dict)

    def texts(self) -> list[str]:
        return [POLICIES[name][variant] for name, variant in self.chosen.items()]

    def after(self, state: State) -> State:
        if self.action == "replace":
            return dict(self.chosen)
        if self.action == "delete":
            return {name: variant for name, variant in state.items() if name not in self.chosen}
        return {**state, **self.chosen}

    def carry_out(self, mesh: Mesh, state: State) -> None:
        if self.action == "delete":
            there = [POLICIES[name][variant] for name, variant in state.items() if name in self.chosen]
            if there:
                mesh.delete(*there)
        else:
            getattr(mesh, self.action)(*self.texts())


def chosen() -> st.SearchStrategy[State]:
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(sorted(variants)) for name, variants in POLICIES.items()}
    )


STEPS = st.builds(Step, st.sampled_from(["apply", "apply", "replace", "delete"]), chosen())


@pytest.fixture(scope="module")
def mesh(meshtest_runtime: str) -> Iterator[Mesh]:
    try:
        started = Mesh.from_manifests(
            str(FIXTURES / "bookinfo"), str(FIXTURES / "legacy"), seed=1, runtime=meshtest_runtime
        )
    except Unsupported as exc:
        pytest.skip(str(exc))
    with started:
        yield started


def seen(mesh: Mesh, probe: Probe, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a probe met, as far as `wanted` says something of it."""
    one = mesh.request(probe.caller, probe.url)
    met: dict[str, Any] = {
        "status": one.status,
        "reset": one.outcome == "reset",
        "x-swap": one.headers.get("x-swap"),
        "workload": one.backend.workload if one.backend else None,
    }
    if met["workload"] in (wanted.get("workload") or ()):
        met["workload"] = wanted["workload"]
    return {key: met[key] for key in wanted}


class Fresh:
    """What a mesh that starts in some state would have: asked of a new engine, once per state."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, dict[str, Any]]] = {}

    def configuration(self, mesh: Mesh) -> dict[str, dict[str, Any]]:
        """Of each pod: the listeners, and the versions of all else."""
        told = state_of(mesh.model, None)
        key = json.dumps(sorted(map(str, told.objects.values())))
        if key not in self._known:
            self._known[key] = self._ask(mesh, told)
        return self._known[key]

    def _ask(self, mesh: Mesh, told: Any) -> dict[str, dict[str, Any]]:
        engine = Engine.start(find_or_build(print))
        try:
            update = engine.update(set=map(dict, told.objects.values()), proxies=list(told.proxies.values()))
        finally:
            engine.close()
        decorator, found = Decorator(), {}
        for pod in mesh.pods:
            if not pod.has_envoy:
                continue
            context, had = Context(directory=DIRECTORY, pod=pod.key), {}
            for kind, name, offset, size in update.header["proxies"][pod.node_id]["set"]:
                raw = update.payload[offset : offset + size]
                value = decorator.decorate(kind, raw, context)
                had[f"{kind} {name}"] = listener(value) if kind == "LDS" else Resource.of(raw, value).version
            found[pod.key] = had
        return found


def listener(raw: bytes) -> Any:
    """A listener as the admin interface shows it."""
    message = listener_pb2.Listener.FromString(raw)
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))


@pytest.fixture(scope="module")
def fresh() -> Fresh:
    for module in pkgutil.walk_packages(envoy.extensions.__path__, "envoy.extensions."):
        if module.name.endswith("_pb2"):  # json_format shows messages only of types that it knows
            with contextlib.suppress(ImportError, TypeError):
                importlib.import_module(module.name)
    return Fresh()


DUMPS = {"LDS": "dynamic_listeners", "CDS": "dynamic_active_clusters", "RDS": "dynamic_route_configs"}
NAMED = {"LDS": "listener", "CDS": "cluster", "RDS": "route_config"}


def used(mesh: Mesh, pod: str) -> dict[str, Any]:
    """The versions that an Envoy says it runs; of listeners all of it.

    A listener of which only filter chains change keeps the version that it had.
    """
    found: dict[str, Any] = {}
    for kind, dump in DUMPS.items():
        for entry in json.loads(mesh.admin(pod, f"/config_dump?resource={dump}")).get("configs", ()):
            state = entry.get("active_state", entry)
            resource = state[NAMED[kind]]
            resource.pop("@type")
            found[f"{kind} {resource['name']}"] = resource if kind == "LDS" else state["version_info"]
    return found


@settings(
    max_examples=SEQUENCES, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=st.lists(STEPS, min_size=1, max_size=6))
def test_a_sequence_of_changes_leaves_what_a_fresh_mesh_has(
    mesh: Mesh, fresh: Fresh, steps: list[Step]
) -> None:
    mesh.replace()
    state: State = {}
    for step in steps:
        step.carry_out(mesh, state)
        state = step.after(state)
        for probe in PROBES:
            wanted = probe.expected(state)
            assert (probe, seen(mesh, probe, wanted)) == (probe, wanted)
    for pod, wanted in fresh.configuration(mesh).items():
        kinds = tuple(f"{kind} " for kind in DUMPS)
        assert used(mesh, pod) == {
            name: version for name, version in wanted.items() if name.startswith(kinds)
        }

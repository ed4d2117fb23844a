"""The status of Gateways, routes and policies against the files in which Istio's own tests keep what it has to be.

They are read where Go's module cache has them, in the version that the engine is built with. Services, Secrets and
ConfigMaps that all of them need stand in the Go source beside them. Every disagreement stands below with its reason.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.istiod.binary import SOURCE
from meshtest.istiod.engine import Engine, Object, ref_of
from meshtest.mesh.yaml_source import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

GO = Path(os.environ.get("GOPATH") or Path.home() / "go")
CACHE = Path(os.environ.get("GOMODCACHE") or GO / "pkg" / "mod")
VERSION = re.search(r"^\s*istio.io/istio (v\S+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)
FOLDER = (
    CACHE
    / f"istio.io/istio@{VERSION[1] if VERSION else ''}"
    / "pilot"
    / "pkg"
    / "config"
    / "kube"
    / "gateway"
)
if not FOLDER.is_dir():
    pytest.skip(f"{FOLDER} is not there", allow_module_level=True)

TEST = (FOLDER / "conversion_test.go").read_text(encoding="utf-8")
CASES = re.findall(
    r'name: "([\w-]+)"', TEST[TEST.index("func TestConvertResources") : TEST.index("test.SetForTest")]
)
NO_INFERENCE = "InferencePools are refused: nothing plays their endpoint picker"
NO_AMBIENT = "ambient mode is switched off, and its classes are refused"
OTHERWISE = {
    "http": (NO_INFERENCE, r"HTTPRoute default/multi.*(infpool|inferencepool).*"),
    "reference-policy-inferencepool": (NO_INFERENCE, r"HTTPRoute istio-system/backend-allowed-ip"),
    "east-west-ambient": (NO_AMBIENT, r"Gateway .*"),
    "waypoint": (NO_AMBIENT, r"Gateway .*"),
    "listenerset-invalid": (
        NO_AMBIENT,
        r"Gateway istio-system/waypoint|ListenerSet istio-system/invalid-class",
    ),
    "invalid": ("routes that the API server refuses are not attached", r"Gateway istio-system/gateway"),
    "listenerset-empty-listeners": ("the API server refuses the parent", r"ListenerSet .*/single-entry-http"),
    "multi-gateway": (
        "upstream has a Service with the host name example.com",
        r"Gateway istio-system/gateway",
    ),
}
REF = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
"""What the API server fills in, and upstream's test does not."""
PORTS = [("http", 80), ("tcp", 34000), ("tcp-other", 34001)]


def _services() -> Iterator[Object]:
    """The Services of the source, each with an endpoint that has another number for the first port."""
    text = TEST[TEST.index("var services =") : TEST.index("var svcPorts")]
    for number, host in enumerate(re.findall(r'Hostname: "([^"]+)\.svc\.domain\.suffix"', text), start=1):
        name, namespace = host.split(".")
        gateway = name == "istio-ingressgateway"
        ports = [*PORTS, ("https", 443)] if gateway else PORTS
        meta = {"name": name, "namespace": namespace}
        spec: dict[str, Any] = {
            "type": "LoadBalancer" if gateway else "ClusterIP",
            "clusterIP": f"10.0.0.{number}",
            "ports": [{"name": each, "port": port} for each, port in ports],
        }
        ingress = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}} if gateway else {}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": ingress}
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.1.0.{number}"]}],
            "ports": [{"name": each, "port": 8080 if each == "http" else port} for each, port in ports],
        }


def _files() -> Iterator[Object]:
    """The Secrets and ConfigMaps of the source."""
    texts = dict(re.findall(r"(rsaCertPEM|rsaKeyPEM) = `(.*?)`", TEST, re.DOTALL))
    text = TEST[TEST.index("objects = []runtime.Object{") :]
    for block in text[: text.index("\n\t}\n")].split("\n\t\t&corev1.")[1:]:
        kind = block.partition("{")[0]
        name, namespace = (re.search(rf'{key}:\s+"([^"]+)"', block)[1] for key in ("Name", "Namespace"))  # type: ignore[index]  # each has both
        pairs = re.findall(r'"([\w.-]+)":\s+(?:\[\]byte\()?(rsa\w+|"[^"]*")', block)
        data = {key: texts.get(value, value.strip('"')) for key, value in pairs}
        if kind == "Secret":
            data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        yield {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "data": data,
        }


BASE = [*_services(), *_files()]


def _given(name: str) -> list[Object]:
    found = [
        one.value for one in documents((FOLDER / f"testdata/{name}.yaml").read_text(encoding="utf-8"), name)
    ]
    for body in found:
        if body["kind"] != "GatewayClass":
            body["metadata"].setdefault("namespace", "default")
    return found


def _namespaces(bodies: list[Object]) -> list[Object]:
    """As upstream's test labels them."""
    names = sorted({body["metadata"].get("namespace", "") for body in bodies} - {""})
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {
                    "istio.io/test-name-part": name.split("-")[0],
                    "kubernetes.io/metadata.name": name,
                },
            },
        }
        for name in names
    ]


def _plain(value: Any) -> Any:
    """Without times, and with what the API server fills in."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.replace("domain.suffix", "cluster.local")
    if not isinstance(value, dict):
        return value
    found = {key: _plain(each) for key, each in value.items() if key != "lastTransitionTime"}
    return {
        key: {**REF, **each} if key in ("parentRef", "ancestorRef") else each for key, each in found.items()
    }


def _expected(name: str) -> dict[str, Any]:
    text = (FOLDER / f"testdata/{name}.status.yaml.golden").read_text(encoding="utf-8")
    bodies = [one.value for one in documents(text, name)]
    return {_words(body["kind"], **body["metadata"]): _plain(body["status"]) for body in bodies}


def _words(kind: str, name: str, namespace: str = "", **_: object) -> str:
    return f"{kind} {namespace}/{name}"


@pytest.fixture(scope="module")
def engine(binary: Path) -> Iterator[Engine]:
    made = Engine.start(binary, env={"PILOT_ENABLE_ALPHA_GATEWAY_API": "true"})
    yield made
    made.close()


@pytest.mark.parametrize("name", CASES)
def test_status_is_what_istio_keeps_for_its_own_tests(engine: Engine, name: str) -> None:
    given = _given(name)
    wrong = {
        (one.object.kind, one.object.namespace, one.object.name)
        for one in engine.validate(given)
        if one.level == "error"
    }
    accepted = [
        one
        for one in given
        if (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) not in wrong
    ]
    spaces = _namespaces([*BASE, *given])
    engine.update(set=[*spaces, *BASE, *accepted])
    told = {
        _words(one["kind"], one["name"], one["namespace"]): _plain(one["status"]) for one in engine.status()
    }
    engine.update(delete=[ref_of(one) for one in accepted])
    refused = {_words(kind, name, namespace) for kind, namespace, name in wrong}
    expected = {
        key: status for key, status in _expected(name).items() if not key.startswith("InferencePool ")
    }
    differing = {key for key in {*expected, *told} - refused if expected.get(key) != told.get(key)}
    _, objects = OTHERWISE.get(name, ("", ""))
    known = {key for key in differing if objects and re.fullmatch(objects, key)}
    assert differing == known, {key: (told.get(key), expected.get(key)) for key in differing - known}
    assert bool(known) == bool(objects)


def test_the_cases_were_read() -> None:
    assert len(CASES) > 40
    assert set(OTHERWISE) <= set(CASES)
    assert [body["kind"] for body in BASE].count("Secret") > 5

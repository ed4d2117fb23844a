"""`meshtest validate` against Istio's and the Gateway API's own examples, good and bad, and istioctl's table of tests.

They are read where Go's module cache has them, in the versions that the engine is built with:

    examples of CRDs with the error that each must give ──► the engine's `validate`
    the table of the analyzers' test, file -> messages   ──► the engine's `analyze`
    examples, bad examples, samples                      ──► `meshtest validate`, file by file

Every disagreement stands below with its reason; one that is not there any more is a failure too.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.cli.judging import Judge, files_of
from meshtest.istiod.binary import SOURCE, find_or_build
from meshtest.istiod.engine import Engine
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text
from meshtest.mesh.yaml_source import documents
from meshtest.runner.pool import MeshPool, PoolOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GO = Path(os.environ.get("GOPATH") or Path.home() / "go")
CACHE = Path(os.environ.get("GOMODCACHE") or GO / "pkg" / "mod")


def _module(name: str) -> Path:
    """The folder of a module that the engine is built with."""
    version = re.search(rf"^\s*{re.escape(name)} (v\S+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)
    return CACHE / f"{name}@{version[1] if version else ''}"


ISTIO, GATEWAY_API = _module("istio.io/istio"), _module("sigs.k8s.io/gateway-api")
CRDS = ISTIO / "pkg" / "config" / "validation" / "testdata" / "crds"
ANALYZERS = ISTIO / "pkg" / "config" / "analysis" / "analyzers"
if not (CRDS.is_dir() and (GATEWAY_API / "examples").is_dir()):
    pytest.skip(
        f"{CACHE} has not the sources of {ISTIO.name} and {GATEWAY_API.name}", allow_module_level=True
    )


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, with `_err` where they have one."""
    for document in documents(path.read_text(encoding="utf-8"), path.name):
        body = document.value
        yield from body["items"] if body["kind"].endswith("List") else [body]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine.start(find_or_build(print))
    yield made
    made.close()


# -- examples of CRDs ------------------------------------------------------------------------------------------

OTHER_WORDS = {
    "nil": "the API server drops what is null before it looks at types, and then misses it",
    "nested-nil": "likewise",
}
_TYPES = re.compile(r'Invalid value: (?:"object"|"integer"|\d+): ')
"""What newer releases of the API server's packages say of the value, or leave out."""


@pytest.mark.parametrize("path", sorted(CRDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_of_crds_give_the_errors_they_say(engine: Engine, path: Path) -> None:
    compared = 0
    for body in objects(path):
        expected = body.pop("_err", None)
        body["metadata"].setdefault("namespace", "default")
        told = [f"{one.path}: {one.message}" for one in engine.validate([body]) if one.level == "error"]
        name = body["metadata"]["name"]
        assert bool(told) == bool(expected), (name, expected, told)
        if expected and name not in OTHER_WORDS:
            assert _TYPES.sub("Invalid value: ", expected) in _TYPES.sub(
                "Invalid value: ", "\n".join(told)
            ), name
        compared += 1
    assert compared


# -- istioctl's analyzers --------------------------------------------------------------------------------------

OTHER_MESSAGES = {
    "alpha": "upstream's table tests an analyzer that istioctl does not run",
    "istioInjection": "meshtest decides itself who gets a sidecar: no namespace has to ask for it",
    "istioInjectionEnableNamespacesByDefault": "likewise",
    "Detect `image: auto` in non-injected pods": "likewise",
    "unknown service registry in mesh networks": "there are no mesh networks: one cluster, one network",
}
USUAL = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
"""What makes meshtest run the usual ingress gateway, which upstream's test adds to every case by itself."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of upstream's table."""

    name: str
    analyzer: str
    files: tuple[str, ...]
    mesh_config: str
    expected: tuple[tuple[str, str], ...]
    """Code, and the kind and name of the object."""


def _cases() -> list[Case]:
    source = (ANALYZERS / "analyzers_test.go").read_text(encoding="utf-8")
    messages = (ISTIO / "pkg" / "config" / "analysis" / "msg" / "messages.gen.go").read_text(encoding="utf-8")
    codes = dict(re.findall(r'(\w+) = diag\.NewMessageType\(\s*diag\.\w+, "(IST\d+)"', messages))
    table = source[source.index("var testGrid") :]
    return [_case(row, codes) for row in re.split(r"\n\t\{\n", table[: table.index("\n}\n")])[1:]]


def _case(row: str, codes: Mapping[str, str]) -> Case:
    def word(pattern: str) -> str:
        found = re.search(pattern, row, re.DOTALL)
        return found[1] if found else ""

    return Case(
        name=word(r'name:\s+"([^"]+)"'),
        analyzer=word(r"analyzer:\s+(.*?),\n"),
        files=tuple(re.findall(r'"([^"]+)"', word(r"inputFiles:\s*\[\]string\{(.*?)\}"))),
        mesh_config=word(r'meshConfigFile:\s+"([^"]+)"'),
        expected=tuple((codes[name], told) for name, told in re.findall(r'\{msg\.(\w+), "([^"]*)"\}', row)),
    )


CASES = _cases()


def _own_codes() -> Mapping[str, set[str]]:
    """Analyzer -> the codes that no other one of the table gives."""
    givers = defaultdict(set)
    for case in CASES:
        for code, _ in case.expected:
            givers[code].add(case.analyzer)
    found = defaultdict(set)
    for code, analyzers in givers.items():
        if len(analyzers) == 1:
            found[next(iter(analyzers))].add(code)
    return found


OWN_CODES = _own_codes()


@pytest.fixture(scope="module")
def usual() -> list[dict[str, Any]]:
    return [
        dict(body)
        for body in build_model(load_text(USUAL)).objects
        if body["kind"] in ("Pod", "Service") and body["metadata"]["namespace"] == "istio-system"
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_analyzers_say_what_their_table_says(
    engine: Engine, usual: list[dict[str, Any]], case: Case
) -> None:
    config = (ANALYZERS / case.mesh_config).read_text(encoding="utf-8") if case.mesh_config else ""
    engine.update(mesh_config=config)
    given = [body for name in case.files for body in objects(ANALYZERS / name)]
    told = Counter(
        (
            one.code,
            f"{one.object.kind} {f'{one.object.namespace}/' if one.object.namespace else ''}{one.object.name}",
        )
        for one in engine.analyze([*usual, *given])
    )
    missing = Counter(case.expected) - told
    # Here all analyzers are asked, there one: what others say is not its business.
    more = [each for each in told - Counter(case.expected) if each[0] in OWN_CODES[case.analyzer]]
    assert bool(missing or more) == (case.name in OTHER_MESSAGES), (missing, more)


def test_the_table_was_read() -> None:
    assert len(CASES) > 90
    assert sum(len(case.expected) for case in CASES) > 150
    assert set(OTHER_MESSAGES) <= {case.name for case in CASES}


# -- whole files -----------------------------------------------------------------------------------------------

REFUSED = {
    "examples/standard/backend-tls.yaml": "spec.tls.backend.clientCertificateRef: unsupported",
    "examples/standard/udp-routing/udp-route.yaml": 'unsupported kind "UDPRoute"',
}
"""Good examples that meshtest refuses, since nothing would act on them."""


@pytest.fixture(scope="module")
def pool() -> Iterator[MeshPool]:
    made = MeshPool(PoolOptions(root=Path.cwd(), progress=print))
    yield made
    made.close()


def _errors(pool: MeshPool, path: Path) -> list[str]:
    found = Judge(pool).judge(files_of([str(path)])).findings
    return [f"{one.path}: {one.message}" for one in found if one.level == "error"]


@pytest.mark.parametrize(
    "path",
    sorted(GATEWAY_API.glob("examples/**/*.yaml")),
    ids=lambda path: str(path.relative_to(GATEWAY_API)),
)
def test_good_examples_of_the_gateway_api_are_accepted(pool: MeshPool, path: Path) -> None:
    told = _errors(pool, path)
    reason = REFUSED.get(str(path.relative_to(GATEWAY_API)))
    assert [reason for one in told if reason and reason in one] == ([reason] if reason else [])
    assert len(told) == (1 if reason else 0), told


@pytest.mark.parametrize(
    "path",
    sorted(GATEWAY_API.glob("hack/invalid-examples/**/*.yaml")),
    ids=lambda path: str(path.relative_to(GATEWAY_API / "hack" / "invalid-examples")),
)
def test_bad_examples_of_the_gateway_api_are_refused(pool: MeshPool, path: Path) -> None:
    assert _errors(pool, path)


NO_MANIFESTS = (
    "ambient-argo/tag-chart/",
    "bookinfo/demo-profile-no-gateways.yaml",  # for istioctl install, without a name
    "bookinfo/swagger.yaml",
    "open-telemetry/loki/iop.yaml",  # for istioctl install, without a name
    "security/spire/istio-spire-config.yaml",  # likewise
    "security/spire-trust-domain-federation/spire-",  # values of a chart
)
NOT_HERE = (
    "unsupported kind",
    "is one of ambient mode",
    "IPv6 is not supported",
    "annotations[inject.istio.io/templates]: unsupported",
    "annotations[sidecar.istio.io/bootstrapOverride]: unsupported",
)
SAMPLES = [
    path
    for path in sorted((ISTIO / "samples").glob("**/*.yaml"))
    if not str(path.relative_to(ISTIO / "samples")).startswith(NO_MANIFESTS)
]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: str(path.relative_to(ISTIO / "samples")))
def test_istios_samples_are_accepted_but_for_what_is_not_supported(pool: MeshPool, path: Path) -> None:
    told = _errors(pool, path)
    assert not [one for one in told if not any(words in one for words in NOT_HERE)]

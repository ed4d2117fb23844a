"""Print docs/support.md: what is supported of every kind and field, and by which test it is used.

engine ──► fields ─┐
suites ──► usage ──┴──► page
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.support.fields import tree, used, used_by_part
from ci.support.page import Facts, Use, page
from ci.support.usage import MESH_CONFIG, manifests, parts
from meshtest.istiod.binary import find_or_build
from meshtest.istiod.engine import Engine
from meshtest.mesh.kinds import KINDS, Treatment, group_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.support.fields import Field, Kind

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "suites" / "unit" / "support"
"""The tests of this generator use fields of nothing."""
FIRST = (
    "routing", "traffic-policy", "mtls", "authorization", "gateways", "external", "telemetry",
    "mesh-config", "protocols",
)  # fmt: skip
"""The suites of policies come before those of faults and of the whole, and these before fixtures."""
WORKLOADS = {("apps", kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")}
POD, TEMPLATE = ("", "Pod"), "spec.template."


def main() -> None:
    """Print it."""
    roots = fields()
    uses: dict[Kind, dict[str, Use]] = {kind: {} for kind in roots}
    for place, is_unit, kind, paths in _used(roots):
        for path in paths:
            of_pod = kind in WORKLOADS and path.startswith(TEMPLATE)
            known = uses[POD if of_pod else kind]
            plain = path.removeprefix(TEMPLATE) if of_pod else path
            use = known.get(plain, Use())
            known[plain] = Use(use.suite, use.unit or place) if is_unit else Use(use.suite or place, use.unit)
    for workload in WORKLOADS:
        roots[workload].within["spec"].within.pop("template")
    facts = [Facts(kind=kind, root=root, uses=uses[kind]) for kind, root in roots.items()]
    sys.stdout.write(page(facts))


def fields() -> dict[Kind, Field]:
    """The fields of every kind that is acted on, and of MeshConfig."""
    acted_on = [kind for kind in KINDS.values() if kind.treatment is Treatment.ACTED_ON]
    engine = Engine.start(find_or_build(lambda _: None))
    try:
        found = engine.fields([*((kind.api_versions[0], kind.name) for kind in acted_on), ("", MESH_CONFIG)])
    finally:
        engine.close()
    made = {(kind.group, kind.name): tree(found[kind.api_versions[0], kind.name]) for kind in acted_on}
    made["", MESH_CONFIG] = tree(found["", MESH_CONFIG])
    return dict(sorted(made.items(), key=lambda pair: _order(pair[0])))


def _order(kind: Kind) -> int:
    """Istio's kinds, then those of the Gateway API, then Kubernetes' own."""
    group, name = kind
    if name == MESH_CONFIG:
        return 1
    return 0 if "istio" in group else 2 if "gateway" in group else 3


def _used(roots: Mapping[Kind, Field]) -> Iterator[tuple[str, bool, Kind, set[str]]]:
    for path in _files():
        place, is_unit = _place(path)
        for body in manifests(path):
            kind = _kind(body)
            if kind in roots:
                yield place, is_unit, kind, used(roots[kind], body)
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            near = {
                kind: root
                for kind, root in roots.items()
                if re.search(rf"kind: {kind[1]}\b|[\"']{kind[1]}[\"']", text)
            }
            for part in parts(path):
                if found := used_by_part(near, part):
                    yield place, is_unit, *found
    for body in _conformance():
        if (kind := _kind(body)) in roots:
            yield "conformance", False, kind, used(roots[kind], body)


def _kind(body: Mapping[str, Any]) -> Kind:
    version = body.get("apiVersion")
    return (group_of(version) if isinstance(version, str) else "", str(body["kind"]))


def _files() -> list[Path]:
    """Tests and fixtures, those first whose word counts."""
    found = [
        path
        for folder in ("suites", "fixtures")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".yaml", ".yml") and path.parent != OWN
    ]
    return sorted(found, key=lambda path: _rank(_place(path)[0], path))


def _rank(place: str, path: Path) -> tuple[int, str]:
    if place in FIRST:
        return FIRST.index(place), str(path)
    return len(FIRST) + place.startswith("fixtures/"), str(path)


def _place(path: Path) -> tuple[str, bool]:
    """What the page calls a file, and whether it is one of the unit tests."""
    folder, first, *rest = path.relative_to(ROOT).parts
    if folder == "suites" and first == "unit":
        return "/".join(rest).removesuffix(".py"), True
    return (f"fixtures/{first}" if folder == "fixtures" else first), False


def _conformance() -> Iterator[Mapping[str, Any]]:
    """The manifests of the conformance tests that are run."""
    source = ROOT / "suites" / "conformance" / "test_gateway_api.py"
    made = importlib.util.spec_from_file_location("conformance", source)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules["conformance"] = module
    try:
        made.loader.exec_module(module)
    except pytest.skip.Exception as exc:
        raise SystemExit(f"docs/support.md needs the conformance tests: {exc}") from None
    for pattern in ("tests/httproute-*.go", "tests/grpcroute-*.go", "tests/mesh/*.go"):
        for test in module.upstream(pattern):
            for name in test.values[0].manifests:
                yield from (
                    body
                    for body in yaml.safe_load_all(module.text(name))
                    if isinstance(body, dict) and "kind" in body
                )


if __name__ == "__main__":
    main()

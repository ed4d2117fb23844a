"""Reads scenario files: what the file alone can tell fails here, at collection, with file and line.

*.mesh.yaml ──► documents ──► Scenario + the manifests after it ──► one Scenario per line of its matrix
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location, ScenarioError
from meshtest.mesh.manifests import is_own, manifests_of, unique
from meshtest.mesh.sources import shown as shown_path
from meshtest.mesh.yaml_source import documents
from meshtest.scenario import matrix
from meshtest.scenario.changes import CHANGES, read_changes
from meshtest.scenario.consistency import check_consistency
from meshtest.scenario.expect import EXPECT, EXPECT_FAILURE
from meshtest.scenario.external import EXTERNAL
from meshtest.scenario.faults import FAULT
from meshtest.scenario.fields import Fields, Key, Shape, Spot, key, list_of, mapping_of, shown, take_keys
from meshtest.scenario.images import IMAGES
from meshtest.scenario.model import API_VERSION, KIND, ManifestPath, Scenario
from meshtest.scenario.scalars import anything, integer, scalar_text, slug, text, word
from meshtest.scenario.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshtest.mesh.model import Manifest
    from meshtest.mesh.yaml_source import Document

GLOB = frozenset("*?[")
LABELS = mapping_of(scalar_text(), what="a mapping of labels", empty=True)
ARGV = list_of(scalar_text("a program and its arguments"), one=False)
METADATA = {
    "name": key("name", slug("name of a scenario"), required=True),
    "labels": key("labels", LABELS),
}
_PATH = text("a path, relative to this file")
SPEC: dict[str, Key] = {
    "description": key("description", text()),
    "manifests": key("manifests", list_of(_PATH, empty=True)),
    "meshConfig": key("mesh_config", anything("Istio's MeshConfig")),
    "calls": key(
        "calls", mapping_of(list_of(text("a workload, service or URL"), empty=True), what="who calls whom")
    ),
    "commands": key("commands", mapping_of(ARGV, what="workloads and their commands")),
    "images": key("images", IMAGES),
    "proxies": key(
        "proxies", mapping_of(text("an image of Istio's proxy"), what="workloads and their proxies")
    ),
    "external": key("external", EXTERNAL),
    "traffic": key("traffic", list_of(TRAFFIC), required=True),
    "faults": key("faults", list_of(FAULT, one=False, empty=True)),
    "changes": key("changes", CHANGES),
    "expect": key("expect", EXPECT, required=True),
    "expectFailure": key("expect_failure", EXPECT_FAILURE),
    "seed": key("seed", integer(least=0, what="a seed")),
}


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file; raises one ScenarioError for the first mistake."""
    found = [scenario for part in _parts(path) for scenario in part.scenarios()]
    seen: dict[str, Location] = {}
    for scenario in found:
        if scenario.name in seen:
            first = seen[scenario.name].line
            problem = f"a second scenario is called {scenario.name!r}; the first stands on line {first}"
            raise ScenarioError(problem, location=scenario.at("metadata.name"), key="metadata.name")
        seen[scenario.name] = scenario.location
    return found


def _parts(path: Path) -> list[_Part]:
    file = shown_path(path)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", location=Location(file=file, line=1)) from error
    parts: list[_Part] = []
    for document in documents(content, file):
        if _is_scenario(document):
            parts.append(_Part(path=path, document=document, manifests=[]))
        elif parts:
            parts[-1].manifests.append(document)
        else:
            raise Spot(document=document).error(
                "a manifest stands before the first scenario", expected=f"kind: {KIND} as the first document"
            )
    if not parts:
        expected = f"a document with apiVersion: {API_VERSION} and kind: {KIND}"
        raise ScenarioError("the file is empty", location=Location(file=file, line=1), expected=expected)
    return parts


def _is_scenario(document: Document) -> bool:
    value = document.value
    if not isinstance(value, dict):
        raise Spot(document=document).error(
            f"{shown(value)} stands where a mapping must", expected=f"kind: {KIND}"
        )
    return value.get("kind") == KIND or is_own(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A Scenario document and the manifests that stand after it."""

    path: Path
    document: Document
    manifests: list[Document]

    def scenarios(self) -> list[Scenario]:
        """One per combination of its matrix."""
        spot = Spot(document=self.document)
        fields = Fields(self.document.value, spot)
        fields.require("apiVersion", word((API_VERSION,), "apiVersion"))
        fields.require("kind", word((KIND,), "kind"))
        spec = fields.require("spec", anything("a mapping with traffic and expect"))
        if "matrix" not in spec:
            return [self._scenario("", {})]
        cases = matrix.expansions(spec["matrix"], spot.key("spec").key("matrix"))
        return [self._scenario(f"[{name}]", variables) for name, variables in cases]

    def _scenario(self, suffix: str, variables: dict[str, Any]) -> Scenario:
        body = {name: each for name, each in self.document.value.items() if name != "spec"}
        body["spec"] = {name: each for name, each in self.document.value["spec"].items() if name != "matrix"}
        plain = replace(self.document, value=body)
        document = matrix.substitute(plain, variables, Spot(document=plain), strict=True)
        fields = Fields(document.value, Spot(document=document))
        fields.known |= {"apiVersion", "kind"}
        found = fields.require("metadata", _mapping(METADATA)) | fields.require(
            "spec", _mapping(SPEC, "matrix")
        )
        fields.left = {name: each for name, each in fields.left.items() if name not in ("apiVersion", "kind")}
        fields.finish()
        found["name"] += suffix
        found["manifests"] = self._paths(
            found.get("manifests", ()), Spot(document=document, path="spec.manifests")
        )
        found["changes"] = read_changes(
            found.get("changes", ()), lambda written, spot: self._path(written, spot).paths
        )
        policies = self._policies(variables)
        if not found["manifests"] and not policies:
            raise Spot(document=document, path="spec").error(
                "no mesh to test", expected="manifests, here or as further documents of the file"
            )
        scenario = Scenario(
            **found, policies=policies, location=document.location, matrix=variables, lines=document.lines
        )
        return check_consistency(scenario, Spot(document=document, path="spec"))

    def _policies(self, variables: dict[str, Any]) -> tuple[Manifest, ...]:
        filled = [
            matrix.substitute(each, variables, Spot(document=each), strict=False) for each in self.manifests
        ]
        found = manifests_of(filled)
        unique(found)
        return tuple(found)

    def _paths(self, written: Sequence[str], spot: Spot) -> tuple[ManifestPath, ...]:
        return tuple(self._path(each, _item(spot, index)) for index, each in enumerate(written))

    def _path(self, written: str, spot: Spot) -> ManifestPath:
        base = self.path.parent
        if set(written) & GLOB:
            # Path.glob refuses `..`, which is how scenarios reach their fixtures
            names = sorted(glob.glob(written, root_dir=base, recursive=True))  # noqa: PTH207
            paths = tuple(base / name for name in names)
        else:
            paths = (base / written,) if (base / written).exists() else ()
        if not paths:
            raise spot.error(
                f"nothing stands at {written!r}", expected=f"a file or folder, relative to {base}"
            )
        return ManifestPath(written=written, paths=paths, location=spot.location)


def _item(spot: Spot, index: int) -> Spot:
    """The place of a list's item, which may stand there without its list."""
    item = spot.item(index)
    return item if item.path in spot.document.lines else spot


def _mapping(keys: dict[str, Key], *passed_over: str) -> Shape[dict[str, Any]]:
    def read(value: Any, spot: Spot) -> dict[str, Any]:
        fields = Fields(value, spot)
        found = take_keys(fields, keys)
        fields.known |= set(passed_over)
        fields.finish()
        return found

    return Shape(expected="a mapping", read=read, schema={})

"""The layers of the package: a line imports only lines above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import meshtest

ROOT = Path(meshtest.__file__).parent
BASE = {"errors", "waiting", "wire"}
LAYERS = {
    "mesh": set(),
    "scenario": {"mesh"},
    "traffic": {"mesh"},
    "standin": set(),
    "checks": {"scenario", "traffic", "mesh"},
    "istiod": {"mesh"},
    "envoy": {"mesh", "istiod"},
    "explain": {"mesh", "traffic"},
    "runtime": {"mesh", "envoy"},
    "faults": {"mesh", "scenario", "traffic", "istiod", "envoy", "runtime"},
    "report": {"checks", "traffic"},
    "live": {"mesh", "scenario", "traffic", "istiod", "envoy", "explain", "runtime", "faults"},
    "runner": {
        "mesh",
        "scenario",
        "traffic",
        "checks",
        "istiod",
        "envoy",
        "runtime",
        "faults",
        "report",
        "live",
    },
    "pytest_plugin": {"runner", "report", "scenario", "live", "runtime", "mesh", "checks"},
    "cli": {
        "runner",
        "report",
        "scenario",
        "traffic",
        "live",
        "explain",
        "runtime",
        "mesh",
        "istiod",
        "envoy",
        "faults",
        "checks",
    },
    "__main__": {"cli"},
    "__init__": {"live", "faults", "traffic", "checks"},
}


def _modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "meshtest":
                found |= {f"meshtest.{alias.name}" for alias in node.names}
    below = {name.split(".")[1] for name in found if name.startswith("meshtest.")}
    return {name for name in below if not name.startswith("__")}


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_layers_above_its_own(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own in BASE:
        assert _imports(path) <= BASE
        return
    assert own in LAYERS, f"{own} has no layer: add it to the picture in DESIGN and to this test"
    assert _imports(path) <= BASE | LAYERS[own] | {own}

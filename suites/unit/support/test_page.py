from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.support.fields import tree
from ci.support.page import Facts, Use, page

ROOT = Path(__file__).resolve().parents[3]
GO = Path(os.environ.get("GOPATH") or Path.home() / "go")
CACHE = Path(os.environ.get("GOMODCACHE") or GO / "pkg" / "mod") / "sigs.k8s.io" / "gateway-api"


@pytest.mark.skipif(not any(CACHE.glob("conformance@*")), reason=f"{CACHE} has no conformance@VERSION")
def test_the_page_is_what_its_generator_prints() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "ci.support"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    kept = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")
    assert made.stdout == kept, "run `python -m ci.support > docs/support.md`"


def of(group: str, kind: str, *paths: str, **uses: Use) -> str:
    return page(
        [Facts(kind=(group, kind), root=tree(paths), uses={f"spec.{key}": use for key, use in uses.items()})]
    )


def test_fields_stand_with_the_test_that_uses_them() -> None:
    text = of(
        "",
        "Service",
        "spec.type",
        "spec.selector{}",
        "spec.clusterIP",
        type=Use("mtls", "a"),
        clusterIP=Use("", "a"),
    )
    assert "| `spec` | mtls: `type` | a: `clusterIP` | `selector` |" in text
    assert "| [Service](#service) | 3 | 1 | 1 | 1 | 0 |" in text


def test_fields_that_no_test_uses_stand_as_one() -> None:
    text = of(
        "security.istio.io",
        "PeerAuthentication",
        "spec.mtls.mode",
        "spec.portLevelMtls{}.mode",
        "spec.a",
        a=Use("b"),
    )
    assert "| `spec` | b: `a` |  | `mtls` (1 field), `portLevelMtls` (1 field) |" in text


def test_what_is_refused_and_what_has_no_effect_is_in_no_table() -> None:
    text = of(
        "networking.istio.io",
        "ProxyConfig",
        "spec.concurrency",
        "spec.image.imageType",
        "spec.environmentVariables{}",
    )
    assert "- `spec.concurrency`: every Envoy of meshtest has one worker thread" in text
    assert "- `spec.image`: it names Istio's image" in text
    assert "|  |  |  | `spec` (1 field) |" in text


def test_of_kubernetes_own_kinds_only_what_is_said_to_have_an_effect_has_one() -> None:
    assert "**Without effect**: `immutable`." in of("", "ConfigMap", "data{}", "immutable")

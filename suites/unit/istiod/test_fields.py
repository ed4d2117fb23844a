from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import EngineError
from meshtest.istiod.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def engine(binary: Path) -> Iterator[Engine]:
    made = Engine.start(binary)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("version", "kind", "fields"),
    [
        (
            "networking.istio.io/v1",
            "VirtualService",
            [
                "spec.http[].route[].weight",
                "spec.http[].match[].headers{}.exact",
                "spec.http[].headers.request.set{}",
            ],
        ),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", ["spec.rules[].backendRefs[].name"]),
        ("v1", "Service", ["spec.ports[].targetPort", "spec.selector{}"]),
        ("v1", "Secret", ["data{}", "stringData{}", "immutable"]),
        ("apps/v1", "Deployment", ["spec.template.metadata", "spec.template.spec.containers[].env[].value"]),
        (
            "",
            "MeshConfig",
            ["trustDomain", "defaultConfig.proxyMetadata{}", "extensionProviders[].prometheus"],
        ),
    ],
)
def test_names_the_fields_of_a_kind(engine: Engine, version: str, kind: str, fields: list[str]) -> None:
    found = engine.fields([(version, kind)])[version, kind]
    assert set(fields) <= set(found)
    assert len(found) == len(set(found))
    assert not [path for path in found if path.split(".")[0] in {"metadata", "status", "apiVersion", "kind"}]


def test_a_kind_that_is_not_there_has_no_fields(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"no kind VirtualServce in networking.istio.io/v1$"):
        engine.fields([("networking.istio.io/v1", "VirtualServce")])

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.mesh.build import BuildOptions, build_model
from meshtest.mesh.manifests import load_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel


@pytest.fixture
def build() -> Callable[..., MeshModel]:
    """The model of manifests written as text."""

    def of(text: str, *, previous: MeshModel | None = None, **options: Any) -> MeshModel:
        manifests = load_text(text, "mesh.yaml", allow_unsupported=True)
        return build_model(manifests, previous=previous, options=BuildOptions(**options))

    return of


@pytest.fixture
def workload() -> Callable[..., str]:
    """A workload as YAML."""

    def of(name: str, *, kind: str = "Deployment", spec: str = "", pod: str = "", metadata: str = "") -> str:
        """Each of the parts is the inside of a flow mapping, and ends with a comma."""
        return f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {{{spec} selector: {{matchLabels: {{app: {name}}}}},
   template: {{metadata: {{{metadata or f"labels: {{app: {name}}}"}}},
              spec: {{{pod} containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]}}}}}}
---
"""

    return of

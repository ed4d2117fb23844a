from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.unsupported import only_istios

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

FILTER = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: own}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {{listener: {{filterChain: {{filter: {{name: istio.stats}}}}}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: x
        typed_config: {}
"""
TELEMETRY = """\
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: own}}
spec:
  {}
"""


@pytest.mark.parametrize(
    ("name", "istios"),
    [
        ("type.googleapis.com/stats.PluginConfig", True),
        ("type.googleapis.com/io.istio.http.peer_metadata.Config", True),
        ("type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", True),
        ("type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange", True),
        ("type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", False),
    ],
)
def test_which_types_are_istios_own(name: str, istios: bool) -> None:  # noqa: FBT001 - a case
    assert only_istios(name) is istios


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ('{"@type": type.googleapis.com/stats.PluginConfig}', r"typed_config\[@type\]"),
        (
            '{"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: x/stats.PluginConfig}',
            r"type_url",
        ),
    ],
)
def test_a_filter_that_stock_envoy_has_not_is_refused(
    build: Callable[..., MeshModel], config: str, path: str
) -> None:
    with pytest.raises(
        ManifestError, match=rf"mesh.yaml:12: spec.configPatches\[0\].*{path}: unsupported: stats.Plug"
    ):
        build(FILTER.format(config))


def test_other_filters_and_matches_of_istios_are_not(build: Callable[..., MeshModel]) -> None:
    build(FILTER.format('{"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}'))


def test_metrics_are_refused_and_other_telemetry_is_not(build: Callable[..., MeshModel]) -> None:
    with pytest.raises(
        ManifestError, match=r"mesh.yaml:5: spec.metrics: unsupported: metrics come from istio.stats"
    ):
        build(TELEMETRY.format("metrics: [{providers: [{name: prometheus}]}]"))
    build(TELEMETRY.format("accessLogging: [{providers: [{name: envoy}]}]"))


def test_all_are_told_at_once_and_let_through_where_that_is_allowed(build: Callable[..., MeshModel]) -> None:
    text = TELEMETRY.format("metrics: [{}]") + "---\n" + FILTER.format('{"@type": x/stats.PluginConfig}')
    with pytest.raises(ManifestError, match=r"(?s)spec.metrics.*mesh.yaml:.*stats.PluginConfig"):
        build(text)
    assert build(text, allow_unsupported=True).manifests

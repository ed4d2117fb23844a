"""Parts of supported kinds that nothing here acts on: what only Istio's own build of Envoy can do.

An EnvoyFilter that adds such a filter would be silently without effect, since stock Envoy gets istiod's configuration
without it; and there are no metrics of requests without the filter that counts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh.kinds import combined
from meshtest.mesh.yaml_lines import child_path
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshtest.mesh.model import Manifest

ISTIO_FILTERS = ("io.istio.", "istio.", "envoy.tcp.metadataexchange", "stats.")
"""How the names of the message types begin that only Istio's Envoy knows."""
_TYPE_KEYS = ("@type", "type_url", "typeUrl")


def only_istios(type_url: str) -> bool:
    """Whether a type of a filter's configuration is one of Istio's own Envoy."""
    return type_url.rpartition("/")[2].startswith(ISTIO_FILTERS)


def check_parts(manifests: Iterable[Manifest]) -> None:
    """Raise one ManifestError for all parts that nothing acts on."""
    errors = [error for manifest in manifests for error in _errors(manifest)]
    if errors:
        raise combined(errors)


def _errors(manifest: Manifest) -> Iterator[ManifestError]:
    spec = manifest.body.get("spec")
    if not isinstance(spec, dict):
        return
    if manifest.ref.kind == "EnvoyFilter":
        for path, name in _types(spec.get("configPatches"), "spec.configPatches"):
            if only_istios(name):
                plain = name.rpartition("/")[2]
                yield _error(
                    manifest, path, f"{plain} is a filter of Istio's own Envoy, and stock Envoy has it not"
                )
    if manifest.ref.kind == "Telemetry" and spec.get("metrics"):
        yield _error(manifest, "spec.metrics", "metrics come from istio.stats, a filter of Istio's own Envoy")


def _types(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where a value names the type of a message."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _types(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            place = child_path(path, key)
            if key in _TYPE_KEYS and isinstance(each, str):
                yield place, each
            else:
                yield from _types(each, place)


def _error(manifest: Manifest, path: str, problem: str) -> ManifestError:
    location = nearest_location(manifest.lines, path, manifest.location)
    return ManifestError(f"unsupported: {problem}", location=location, key=path)

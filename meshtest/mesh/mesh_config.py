"""What MeshConfig tells those around istiod: the identities, the root namespace, what proxies are started with.

istiod reads the whole of it by itself (`meshtest-istiod`), and says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from meshtest.mesh.model import ROOT_NAMESPACE, TRUST_DOMAIN
from meshtest.mesh.unsupported import unsupported_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """The part of MeshConfig that the injector, the agent and the certificate authority go by."""

    trust_domain: str = TRUST_DOMAIN
    root_namespace: str = ROOT_NAMESPACE
    proxy: Mapping[str, Any] = field(default_factory=dict)
    """`defaultConfig`, as written."""
    unsupported: Sequence[tuple[str, str]] = ()
    """Fields that nothing acts on, and why."""


def settings_of(config: Mapping[str, Any] | str | None) -> MeshSettings:
    """Those of a MeshConfig, mapping or YAML; what is not well-formed istiod says."""
    found = _mapping(config)
    return MeshSettings(
        trust_domain=str(found.get("trustDomain") or TRUST_DOMAIN),
        root_namespace=str(found.get("rootNamespace") or ROOT_NAMESPACE),
        proxy=_mapping(found.get("defaultConfig")),
        unsupported=tuple(unsupported_settings(found)),
    )


def mesh_config_in(manifests: Iterable[Manifest]) -> str | None:
    """The MeshConfig that a cluster's istiod reads: `mesh` of the ConfigMap `istio`, as an installation writes it."""
    found = None
    for manifest in manifests:
        ref = manifest.ref
        if (ref.api_version, ref.kind, ref.namespace, ref.name) == (
            "v1",
            "ConfigMap",
            ROOT_NAMESPACE,
            "istio",
        ):
            found = (manifest.body.get("data") or {}).get("mesh")
    return None if found is None else str(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            return {}
    return value if isinstance(value, dict) else {}

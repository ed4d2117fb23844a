"""What MeshConfig tells those around istiod: the identities, the root namespace, what proxies are started with.

istiod reads the whole of it by itself (`meshtest-istiod`), and says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError, ScenarioError
from meshtest.mesh.model import ROOT_NAMESPACE, TRUST_DOMAIN
from meshtest.mesh.unsupported import unsupported_settings
from meshtest.mesh.yaml_source import documents, nearest_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.errors import Location
    from meshtest.mesh.model import Manifest

KEY = "meshConfig"
"""What messages call it where nothing leads to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """The part of MeshConfig that the injector, the agent and the certificate authority go by."""

    trust_domain: str = TRUST_DOMAIN
    root_namespace: str = ROOT_NAMESPACE
    proxy: Mapping[str, Any] = field(default_factory=dict)
    """`defaultConfig`, as written."""
    authorizers: Mapping[str, str] = field(default_factory=dict)
    """The hosts of external authorization services, by the names of their providers."""
    further_roots: Sequence[str] = field(default=(), repr=False)
    """Authorities of `caCertificates`, PEM."""
    unsupported: Sequence[tuple[str, str]] = ()
    """Fields that nothing acts on, and why."""

    def check(self, *, allow_unsupported: bool) -> None:
        """Raise ScenarioError for a field that nothing acts on, unless those are to be passed over."""
        for path, problem in () if allow_unsupported else self.unsupported:
            raise ScenarioError(f"unsupported: {problem}", key=f"{KEY}.{path}")


def settings_of(config: Mapping[str, Any] | str | None) -> MeshSettings:
    """Those of a MeshConfig, mapping or YAML; what is not well-formed istiod says."""
    found = _mapping(config)
    return MeshSettings(
        trust_domain=str(found.get("trustDomain") or TRUST_DOMAIN),
        root_namespace=str(found.get("rootNamespace") or ROOT_NAMESPACE),
        proxy=_mapping(found.get("defaultConfig")),
        authorizers=dict(_authorizers(found.get("extensionProviders"))),
        further_roots=tuple(
            str(one["pem"]) for one in _mappings(found.get("caCertificates")) if one.get("pem")
        ),
        unsupported=tuple(unsupported_settings(found)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A MeshConfig, and where it is written."""

    text: str
    """YAML."""
    key: str = KEY
    """The key path that leads to it there."""
    location: Location | None = None
    """Where it begins; None for one that was given in Python."""
    places: Mapping[str, int] | None = field(default=None, repr=False)
    """The line of each key path in it; None where `text` stands at `location` as it is."""

    def lines(self) -> Mapping[str, int]:
        """The line of each key path in it; raises ManifestError, with file and line, for broken YAML."""
        if self.places is not None or self.location is None:
            return self.places or {}
        found = documents(self.text, self.location.file, first_line=self.location.line)
        return found[0].lines if found else {}


def text_of(written: Written | None) -> str | None:
    """Its text, where there is one."""
    return None if written is None else written.text


def mesh_config_in(manifests: Iterable[Manifest]) -> Written | None:
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
            found = manifest
    text = None if found is None else (found.body.get("data") or {}).get("mesh")
    if found is None or text is None:
        return None
    at = nearest_location(found.lines, "data.mesh", found.location)
    below = "\n" in str(text)  # a block begins on the line after its key
    return Written(text=str(text), key="data.mesh", location=replace(at, line=at.line + below))


def _authorizers(providers: Any) -> Iterator[tuple[str, str]]:
    for provider in providers if isinstance(providers, list) else ():
        for kind in ("envoyExtAuthzHttp", "envoyExtAuthzGrpc"):
            found = _mapping(_mapping(provider).get(kind))
            if found:
                yield str(provider.get("name")), str(found.get("service")).rpartition("/")[2]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = next((each.value for each in documents(value, KEY)), None)
        except ManifestError:
            return {}
    return value if isinstance(value, dict) else {}

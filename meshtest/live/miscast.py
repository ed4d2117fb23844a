"""Stand-ins that policies lean on without playing the part that these ask for: what they say decides nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.live.applications import of_pod
from meshtest.live.notices import Notice
from meshtest.mesh.kinds import SECURITY, group_of
from meshtest.mesh.places import locate
from meshtest.mesh.standins import EXT_AUTHZ, KEY_SET, STANDIN, WORKLOAD, plays

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.live.applications import Applications
    from meshtest.mesh.model import Manifest, MeshModel

    Asked = tuple[str, str, str]
    """The host, the part that it has to play, and where the policy names it."""


def miscast(model: MeshModel, authorizers: Mapping[str, str], applications: Applications) -> Iterator[Notice]:
    """A warning for each policy that asks such a stand-in.

    Args:
        model: the mesh.
        authorizers: the external authorization services of MeshConfig, by the names of their providers.
        applications: where the user's own programs run, which may be anything.
    """
    for manifest in model.manifests:
        for host, part, path in _asked(manifest, authorizers):
            workload = _workload(model, host, applications)
            if workload:
                yield Notice(
                    level="warning",
                    code="stand-in",
                    message=f"the stand-in of {workload} answers for {host} and does not play {part}: give its pods "
                    f"the annotation {STANDIN}: {part}, or a program of yours (`commands`)",
                    object=str(manifest.ref),
                    location=locate(model, manifest.ref, path),
                )


def _asked(manifest: Manifest, authorizers: Mapping[str, str]) -> Iterator[Asked]:
    spec, kind = manifest.body.get("spec") or {}, manifest.ref.kind
    if group_of(manifest.ref.api_version) != SECURITY:
        return
    if kind == "AuthorizationPolicy" and spec.get("action") == "CUSTOM":
        host = authorizers.get(str((spec.get("provider") or {}).get("name")))
        if host:
            yield host, EXT_AUTHZ, "spec.provider.name"
    elif kind == "RequestAuthentication":
        for index, rule in enumerate(spec.get("jwtRules") or ()):
            host = None if rule.get("jwks") else _host(rule.get("jwksUri"))
            if host:
                yield host, KEY_SET, f"spec.jwtRules[{index}].jwksUri"


def _host(uri: Any) -> str | None:
    try:
        return urlsplit(str(uri or "")).hostname
    except ValueError:
        return None


def _workload(model: MeshModel, host: str, applications: Applications) -> str:
    """Whose stand-in answers for a Service without playing anything; empty if it is none."""
    service = next((each for each in model.services if each.host == host), None)
    for pod in model.pods_behind(service) if service else ():
        if plays(pod) == WORKLOAD and not of_pod(applications, model, pod):
            return pod.workload_key
    return ""

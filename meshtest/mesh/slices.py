"""EndpointSlices that manifests bring, for Services without selector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.addresses import is_ipv4
from meshtest.mesh.fields import Fields, fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Manifest

ADDRESS_TYPES = ("IPv4", "IPv6", "FQDN")


def check_slice(manifest: Manifest) -> Mapping[str, Any]:
    """The body of a slice whose shape is right."""
    top = fields_of(manifest)
    kind = top.text("addressType")
    if kind not in ADDRESS_TYPES:
        problem = f"no type {kind!r}" if kind else "missing"
        raise top.error("addressType", problem, expected=" or ".join(ADDRESS_TYPES))
    top.mapping("metadata").texts("labels")
    for port in top.items("ports"):
        port.port("port")
        port.text("name")
    for endpoint in top.items("endpoints"):
        _check_endpoint(endpoint, kind)
    return manifest.body


def _check_endpoint(endpoint: Fields, kind: str) -> None:
    endpoint.mapping("conditions").truth("ready")
    endpoint.text("hostname")
    addresses = endpoint.words("addresses")
    if not addresses:
        raise endpoint.error("addresses", "missing", expected="at least one address")
    for address in addresses:
        if kind == "IPv4" and not is_ipv4(address):
            raise endpoint.error("addresses", f"{address!r} is no IPv4 address")

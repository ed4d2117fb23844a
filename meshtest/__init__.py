"""Chaos and policy tests for service meshes: istiod's own code, real Envoy, real mTLS, on one machine, in a second.

from meshtest import Mesh, faults

with Mesh.from_manifests("fixtures/bookinfo/") as mesh:
    mesh.apply("policies/")
    with mesh.inject(faults.abort(to="ratings", http_status=503, attempts=[1])):
        assert mesh.request("reviews-v2", "http://ratings:9080/ratings/0").status == 200
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshtest import faults
    from meshtest.live.changing import change
    from meshtest.live.mesh import Mesh
    from meshtest.traffic.model import ClientTls, Exchange, Outcome, Protocol, Request
    from meshtest.traffic.record import History

__version__ = "0.1.0"
__all__ = [
    "ClientTls",
    "Exchange",
    "History",
    "Mesh",
    "Outcome",
    "Protocol",
    "Request",
    "__version__",
    "change",
    "faults",
]

_HOMES = {
    "Mesh": "meshtest.live.mesh",
    "change": "meshtest.live.changing",
    "History": "meshtest.traffic.record",
    **dict.fromkeys(("ClientTls", "Exchange", "Outcome", "Protocol", "Request"), "meshtest.traffic.model"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: the pytest plugin must cost nothing where no mesh test is."""
    from importlib import import_module  # noqa: PLC0415 - not before it is needed

    if name == "faults":
        return import_module("meshtest.faults")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

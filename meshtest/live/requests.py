"""What users write about a request, as the driver wants it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.errors import ScenarioError, nearest
from meshtest.live import arguments
from meshtest.mesh.outside import GATEWAY, OUTSIDE, entrance, outside_pod
from meshtest.mesh.proxy_protocol import EXPECTED, is_source
from meshtest.traffic.model import ClientTls, Protocol, Request
from meshtest.traffic.tokens import SignedBy, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.mesh.model import MeshModel, Pod

_SCHEMES = {
    "http": Protocol.HTTP,
    "https": Protocol.HTTPS,
    "h2c": Protocol.H2C,
    "h2": Protocol.H2,
    "grpc": Protocol.GRPC,
    "grpcs": Protocol.GRPC,
    "tcp": Protocol.TCP,
    "tls": Protocol.TLS,
    "ws": Protocol.WEBSOCKET,
    "wss": Protocol.WEBSOCKET,
    "websocket": Protocol.WEBSOCKET,
}

_PROTOCOLS = {
    "http/1.1": Protocol.HTTP,
    "http2": Protocol.H2C,
    "http/2": Protocol.H2C,
    "ws": Protocol.WEBSOCKET,
}
"""Other words for what is spoken."""
_TLS_WORDS = {"sni": "server_name", "cert": "certificate"}
"""Other words for fields of ClientTls."""
_PEM_FIELDS = {"ca", "certificate", "key"}


def protocol_of(url: str, protocol: str | Protocol | None) -> Protocol:
    """The protocol that is asked for, or the one that the URL's scheme means."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol is not None:
        other = _PROTOCOLS.get(str(protocol).lower())
        if other is not None:
            secure = other is Protocol.H2C and urlsplit(url).scheme in ("https", "h2")
            return Protocol.H2 if secure else other
        try:
            return Protocol(protocol)
        except ValueError:
            known = [known.value for known in Protocol]
            raise ScenarioError(
                f"unknown protocol {protocol!r}",
                key="protocol",
                expected=f"one of {', '.join(known)}",
                nearest=nearest(str(protocol), known),
            ) from None
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise ScenarioError(
            f"unknown scheme in {url!r}",
            key="url",
            expected=f"one of {', '.join(_SCHEMES)}",
            nearest=nearest(scheme, _SCHEMES),
        )
    return _SCHEMES[scheme]


def find_caller(model: MeshModel, name: str) -> Pod:
    """The pod that `name` means: a pod, a workload or a Service; `ns/name`, or the name where that is not ambiguous.

    Where nothing has this name, `outside` is who calls from outside the mesh.
    """
    if not isinstance(name, str):
        raise ScenarioError(f"{name!r} is no name", expected="that of a workload, a Service or a pod")
    found = [pod for pod in model.pods if name in (pod.key, pod.workload_key)]
    if not found and "/" not in name:
        found = [pod for pod in model.pods if name in (pod.name, pod.workload)]
        spaces = sorted({pod.namespace for pod in found})
        if len(spaces) > 1:
            if "default" not in spaces:
                raise ScenarioError(
                    f"{name!r} is in several namespaces",
                    expected=" or ".join(f"{ns}/{name}" for ns in spaces),
                )
            found = [pod for pod in found if pod.namespace == "default"]
    if not found:
        services = [service for service in model.services if name in (service.key, service.name)]
        found = [pod for service in services for pod in model.pods_behind(service)]
    if not found and name == OUTSIDE:
        return outside_pod()
    if not found:
        known = sorted({pod.workload_key for pod in model.pods})
        plain = {key.partition("/")[2]: key for key in known}
        near = nearest(name.rpartition("/")[2], plain)
        raise ScenarioError(
            f"no workload {name!r} in the mesh",
            expected=f"one of {', '.join(known) or 'the manifests'}",
            nearest=plain[near] if near else None,
        )
    return found[0]


def let_in(model: MeshModel, caller: Pod, request: Request) -> Request:
    """A request as a caller sends it: `address: gateway` is the Service of the mesh's gateway, unless it has one so."""
    own = (caller.namespace, GATEWAY)
    if request.address != GATEWAY or any((each.namespace, each.name) == own for each in model.services):
        return request
    return replace(request, address=entrance(model))


def replicas(model: MeshModel, name: str) -> Sequence[Pod]:
    """All pods of the workload that `name` means, or the one pod."""
    found = find_caller(model, name)
    if name in (found.key, found.name):
        return [found]
    return [pod for pod in model.pods if pod.workload_key == found.workload_key]


def client_tls(tls: ClientTls | Mapping[str, object] | bool | None) -> ClientTls | None:  # noqa: FBT001
    """The caller's own TLS from what the user gave."""
    if tls is None or tls is False:
        return None
    if tls is True:
        return ClientTls()
    given = asdict(tls) if isinstance(tls, ClientTls) else tls
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ScenarioError(
            f"{tls!r} is no TLS", key="tls", expected="True, ClientTls, or its fields by name"
        )
    fields = {_TLS_WORDS.get(name, name): value for name, value in given.items()}
    for name in _PEM_FIELDS & fields.keys():
        fields[name] = arguments.pem(fields[name], f"tls.{name}")
    alpn = fields.get("alpn")
    if alpn is not None:
        fields["alpn"] = (alpn,) if isinstance(alpn, str) else tuple(alpn)  # type: ignore[arg-type]  # user's value
    arguments.known_words(fields, [*ClientTls.__dataclass_fields__], "key", key="tls")
    return ClientTls(**fields)  # type: ignore[arg-type]  # of the user's values


def plain_request(url: str | bytes, fields: Mapping[str, Any]) -> Request:
    """A Request from the keyword arguments of `Mesh.request`; an unknown one is an error."""
    known = [name for name in Request.__dataclass_fields__ if name != "url"]
    arguments.known_words(fields, known, "argument")
    given = dict(fields)
    address = arguments.words(url, "url")
    given["body"] = arguments.body_of(given.get("body"))
    given["headers"] = arguments.header_pairs(given.get("headers"))
    given["protocol"] = protocol_of(address, given.get("protocol"))
    given["tls"] = client_tls(given.get("tls"))
    given["port"] = arguments.port_number(given.get("port"))
    for key in ("host", "address"):
        if key in given:
            given[key] = arguments.text_or_none(given[key], key)
    if "method" in given:
        given["method"] = arguments.words(given["method"], "method")
    if "timeout" in given:
        given["timeout"] = arguments.seconds(given["timeout"])
    if given.get("proxy_protocol") and not is_source(str(given["proxy_protocol"])):
        raise ScenarioError(
            f"{given['proxy_protocol']!r} is no address", key="proxy_protocol", expected=EXPECTED
        )
    return arguments.usable(Request(url=address, **given))


def shown_as(tls: Any, certificate: Mapping[str, str]) -> ClientTls | None:
    """The caller's own TLS with a certificate that the mesh issued."""
    given = client_tls(tls) or ClientTls()
    return client_tls({**asdict(given), **certificate})


def token_of(fields: Mapping[str, Any]) -> Token:
    """A Token from the keyword arguments of `Mesh.token`; an unknown one is an error."""
    known = [*Token.__dataclass_fields__]
    arguments.known_words(fields, known, "argument")
    given = dict(fields)
    audience = given.get("audience", ())
    given["audience"] = audience if isinstance(audience, str) else tuple(audience)
    words = [word.value for word in SignedBy]
    key = given.get("key", SignedBy.KNOWN)
    if key not in words:
        raise ScenarioError(
            f"no key is called {key!r}",
            key="key",
            expected=f"one of {', '.join(words)}",
            nearest=nearest(str(key), words),
        )
    return Token(**{**given, "key": SignedBy(key)})

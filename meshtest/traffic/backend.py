"""Who answered, by its own words: the stand-in's JSON, Istio's echo server, Gateway API's echo-basic."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from meshtest.traffic.model import BackendReply, BackendRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_XFCC_URI = re.compile(r"(?:^|[;,])URI=([^;,]*)", re.IGNORECASE)
_ECHO_FIELD = re.compile(r"^(?:\[[^\]]*\] )?([A-Za-z][A-Za-z-]*)=(.*)$")
_GREETING = re.compile(rb"meshtest workload=(\S*) pod=(\S*) namespace=(\S*)\n")
"""What a stand-in says that speaks first."""
_ECHO_SIGN = b"ServiceVersion="
_REPLICA = re.compile(r"-[a-z0-9]{8,10}-[a-z0-9]{5}$|-[0-9]+$|-[bcdfghjklmnpqrstvwxz2456789]{5}$")
"""What a ReplicaSet, a StatefulSet or a DaemonSet puts behind the workload's name."""


def parse_backend(
    body: bytes, messages: Sequence[bytes] = (), headers: Iterable[tuple[str, str]] = ()
) -> BackendReply | None:
    """The reply in a response body, or in the first message that holds one; None for any other text."""
    grpc = any(
        name.lower() == "content-type" and value.startswith("application/grpc") for name, value in headers
    )
    for text in messages or (body,):
        found = _parse(_first_text(text) if grpc else text)
        if found is not None:
            return found
    return None


def _parse(text: bytes) -> BackendReply | None:
    if text.startswith(b"{"):
        line = text.partition(b"\n")[0] if b"}\n" in text else text  # TCP: a line of JSON, then the echo
        for candidate in (text, line):
            try:
                found = json.loads(candidate)
            except ValueError:
                continue
            return reply_of(found) if isinstance(found, dict) else None
    greeting = _GREETING.match(text)
    if greeting is not None:
        workload, pod, namespace = (each.decode() for each in greeting.groups())
        return BackendReply(
            workload=workload, namespace=namespace, pod=pod, request=BackendRequest(protocol="TCP")
        )
    if _ECHO_SIGN in text:
        return _istio_echo(text.decode("utf-8", "replace"))
    return None


def reply_of(found: Mapping[str, Any]) -> BackendReply | None:
    """A reply from parsed JSON: the stand-in's, or echo-basic's."""
    if "workload" in found:
        return _stand_in(found)
    if "pod" in found and "headers" in found:
        return _echo_basic(found)
    return None


def workload_of(pod: str) -> str:
    """The workload that a pod's name tells of."""
    return _REPLICA.sub("", pod)


def _stand_in(found: Mapping[str, Any]) -> BackendReply:
    get = found.get
    headers = get("headers") or {}
    return BackendReply(
        workload=str(found["workload"]),
        namespace=str(get("namespace") or ""),
        pod=str(get("pod") or ""),
        request=BackendRequest(
            method=str(get("method") or ""),
            path=str(get("path") or ""),
            host=str(get("host") or ""),
            protocol=str(get("protocol") or ""),
            headers=headers,
            body=_base64(get("body")),
            sni=str(get("sni") or ""),
            alpn=str(get("alpn") or ""),
            client_certificate=_certificate(get("clientCertificate") or {}),
            proxy_protocol=str((get("proxyProtocol") or {}).get("version", "")),
        ),
        peer_identity=str(get("peerIdentity") or ""),
        attempt=int(get("attempt") or 1),
        calls=tuple(get("calls") or ()),
    )


def _echo_basic(found: Mapping[str, Any]) -> BackendReply:
    headers = _lower((name, value) for name, values in found["headers"].items() for value in values)
    tls = found.get("tls") or {}
    return BackendReply(
        workload=workload_of(str(found["pod"])),
        namespace=str(found.get("namespace") or ""),
        pod=str(found["pod"]),
        request=BackendRequest(
            method=str(found.get("method") or ""),
            path=str(found.get("path") or ""),
            host=str(found.get("host") or ""),
            protocol=str(found.get("proto") or ""),
            headers=headers,
            sni=str(tls.get("serverName") or found.get("sni") or ""),
            alpn=str(tls.get("negotiatedProtocol") or ""),
        ),
        peer_identity=_peer(headers),
        attempt=_attempt(headers),
    )


def _istio_echo(text: str) -> BackendReply | None:
    fields: dict[str, str] = {}
    headers: list[tuple[str, str]] = []
    for line in text.splitlines():
        found = _ECHO_FIELD.match(line)
        if found is None:
            continue
        if found[1] == "RequestHeader":
            name, _, value = found[2][1:].partition(":")  # gRPC's `:authority` has a colon of its own
            headers.append((found[2][:1] + name, value))
        else:
            fields.setdefault(found[1], found[2])
    if "Hostname" not in fields:
        return None
    lower = _lower(headers)
    return BackendReply(
        workload=workload_of(fields["Hostname"]),
        namespace=fields.get("Namespace", ""),
        pod=fields["Hostname"],
        request=BackendRequest(
            method=fields.get("Method", ""),
            path=fields.get("URL", ""),
            host=fields.get("Host", ""),
            protocol=fields.get("Proto", ""),
            headers=lower,
            sni=fields.get("Sni", ""),
            alpn=fields.get("Alpn", ""),
            client_certificate=fields.get("ClientCertSubject", ""),
            proxy_protocol=fields.get("ProxyProtocol", ""),
        ),
        peer_identity=_peer(lower),
        attempt=_attempt(lower),
    )


def _certificate(told: Mapping[str, Any]) -> str:
    return ",".join(filter(None, (told.get("subject"), *(told.get("san") or ()))))


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _peer(headers: Mapping[str, Sequence[str]]) -> str:
    """The identity that the sidecar put last into X-Forwarded-Client-Cert."""
    elements = ",".join(headers.get("x-forwarded-client-cert", ()))
    found = _XFCC_URI.findall(elements)
    return str(found[-1]) if found else ""


def _attempt(headers: Mapping[str, Sequence[str]]) -> int:
    values = headers.get("x-envoy-attempt-count", ())
    return int(values[0]) if values and values[0].isdigit() else 1


def _base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, TypeError):
        return str(text).encode()


def _first_text(message: bytes) -> bytes:
    """The first string field of a protobuf message that looks like JSON, or like the text of Istio's echo."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 != 2:  # only strings and messages come before it
            return b""
        size, position = _varint(message, position)
        field = message[position : position + size]
        if field.startswith(b"{") or _ECHO_SIGN in field:
            return field
        position += size
    return b""


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, position

"""Plays Envoy's external authorization service, over HTTP and over gRPC (`envoy.service.auth.v3`).

It allows what carries the header `x-ext-authz: allow`; where there is no such header, as over TCP, what comes from a
service account that it was told to allow. In the words of Istio's sample service of the same name it answers with

    x-ext-authz-check-result                  allowed or denied
    x-ext-authz-check-received                what it was asked, as text
    x-ext-authz-additional-header-override    over HTTP what came under that name, over gRPC a value of its own

and it notes `protocol`, `allowed`, `method`, `host`, `path`, `headers`, `body`, `principal` and `destination`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from envoy.type.v3 import http_status_pb2
from google.rpc import status_pb2

from meshtest.standin.facts import Decision
from meshtest.standin.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from meshtest.standin.facts import Received

CHECKED = "x-ext-authz"
RESULT = "x-ext-authz-check-result"
RECEIVED = "x-ext-authz-check-received"
OVERRIDE = "x-ext-authz-additional-header-override"
OVERRIDE_BY_GRPC = "grpc-additional-header-override-value"
ALLOW = "allow"
DENIAL = f"denied by ext_authz for not found header `{CHECKED}: {ALLOW}` in the request"
_PERMISSION_DENIED = 7
_FORBIDDEN = 403
_LONGEST = 48 << 10
"""Envoy refuses heads of more than 60 KiB."""


class ExtAuthz(Service):
    """Decides, and remembers what it was asked."""

    def decide(self, received: Received) -> Decision | Awaitable[Decision]:
        """The answer to a check over HTTP; one over gRPC is decided by its message."""
        if received.path.startswith("/_meshtest/") and received.connection.local:
            return super().decide(received)
        if received.headers.get("content-type", [""])[0].startswith("application/grpc"):
            return Decision()
        allowed = received.headers.get(CHECKED) == [ALLOW]
        asked = {
            "protocol": "http",
            "method": received.method,
            "host": received.host,
            "path": received.path,
            "headers": {name: ",".join(values) for name, values in received.headers.items()},
            "body": received.body.decode(errors="replace"),
        }
        self.notes.append({**asked, "allowed": allowed})
        override = received.headers.get(OVERRIDE, [])
        return Decision(
            status=200 if allowed else _FORBIDDEN,
            headers=tuple(_said(allowed, asked, override[-1] if override else "").items()),
            body=b"" if allowed else DENIAL.encode(),
        )

    def message(self, received: Received, decision: Decision) -> bytes:
        """The CheckResponse to a CheckRequest."""
        del decision
        attributes = external_auth_pb2.CheckRequest.FromString(received.body).attributes
        request = attributes.request.http
        asked = {
            "protocol": "grpc",
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "headers": dict(request.headers),
            "body": request.body or request.raw_body.decode(errors="replace"),
            "principal": attributes.source.principal,
            "destination": attributes.destination.principal,
        }
        allowed = self._allows(asked)
        self.notes.append({**asked, "allowed": allowed})
        return _check_response(_said(allowed, asked, OVERRIDE_BY_GRPC), allowed=allowed)

    def _allows(self, asked: Mapping[str, Any]) -> bool:
        wish = asked["headers"].get(CHECKED)
        if wish is not None:
            return bool(wish == ALLOW)
        _, sa, account = str(asked["principal"]).rpartition("/sa/")
        return bool(sa) and account in self.config.allowed_accounts


def _said(allowed: bool, asked: Mapping[str, Any], override: str) -> dict[str, str]:  # noqa: FBT001 - a verdict
    received = " ".join(f"{name}={value!r}" for name, value in asked.items() if value)
    return {
        RESULT: "allowed" if allowed else "denied",
        RECEIVED: received.encode("ascii", "replace").decode()[:_LONGEST],
        **({OVERRIDE: override} if override else {}),
    }


def _check_response(said: Mapping[str, str], *, allowed: bool) -> bytes:
    headers = [
        base_pb2.HeaderValueOption(
            header=base_pb2.HeaderValue(key=name, value=value),
            append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in said.items()
    ]
    response = external_auth_pb2.CheckResponse()
    if allowed:
        response.ok_response.headers.extend(headers)
    else:
        response.status.CopyFrom(status_pb2.Status(code=_PERMISSION_DENIED))
        response.denied_response.status.CopyFrom(http_status_pb2.HttpStatus(code=_FORBIDDEN))
        response.denied_response.body = DENIAL
        response.denied_response.headers.extend(headers)
    return bytes(response.SerializeToString())

"""Envoy's messages from their JSON, and requests."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from meshtest.explain.wire import HttpRequest, Wire


def message(kind: Any, **fields: Any) -> Any:
    """A message of Envoy; packed ones need their `@type`."""
    return json_format.ParseDict(fields, kind())


def http(path: str = "/", *, method: str = "GET", authority: str = "b", **headers: str) -> HttpRequest:
    """A request; `x_name` stands for the header `x-name`."""
    given = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return HttpRequest(method=method, authority=authority, path=path, headers=given)


def wire(address: str = "10.244.0.3", port: int = 8080, **fields: Any) -> Wire:
    """A connection of plain HTTP."""
    return Wire(source="10.244.0.2", address=address, port=port, **{"spoken": "http/1.1", **fields})

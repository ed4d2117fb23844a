"""Requests, exchanges and histories as JSON, and back. Pure. Private keys are written for the driver only."""

from __future__ import annotations

import base64
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from meshtest.traffic.accesslog import hop_of, line_of
from meshtest.traffic.model import (
    BackendReply,
    BackendRequest,
    ClientTls,
    Exchange,
    Outcome,
    Protocol,
    Request,
)
from meshtest.traffic.record import FaultWindow, History

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_PAIRS = frozenset({"headers", "trailers"})


def bytes_to_json(value: bytes) -> str | dict[str, str]:
    """Text where it is UTF-8, else `{"base64": ...}`."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def bytes_from_json(value: str | Mapping[str, str]) -> bytes:
    """The opposite of `bytes_to_json`."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def request_to_dict(request: Request, *, secrets: bool = False) -> dict[str, Any]:
    """A request without what is default; `secrets` also writes the client's private key, for the driver."""
    found = _changed(request)
    if request.tls is not None:
        found["tls"] = _changed(request.tls)
        if not secrets:
            found["tls"].pop("key", None)
    return _plain(found)


def request_from_dict(data: Mapping[str, Any]) -> Request:
    """The opposite of `request_to_dict`."""
    given = dict(data)
    if "protocol" in given:
        given["protocol"] = Protocol(given["protocol"])
    if given.get("tls") is not None:
        tls = dict(given["tls"])
        if tls.get("alpn") is not None:
            tls["alpn"] = tuple(tls["alpn"])
        given["tls"] = ClientTls(**tls)
    return Request(**_typed(given))


def exchange_to_dict(exchange: Exchange) -> dict[str, Any]:
    """An exchange without what is default; hops as their access log lines."""
    found = _changed(exchange)
    for name in ("decided_by", "policies", "spans", "access_log"):
        found.pop(name, None)  # the hops tell it again, or it is judged already
    found["request"] = request_to_dict(exchange.request)
    if exchange.messages:
        found["messages"] = [bytes_to_json(message) for message in exchange.messages]
    if exchange.backend is not None:
        found["backend"] = {
            **_changed(exchange.backend),
            "request": _plain(_changed(exchange.backend.request)),
        }
    if exchange.hops:
        found["hops"] = [line_of(hop) for hop in exchange.hops]
    return _plain(found)


def exchange_from_dict(data: Mapping[str, Any]) -> Exchange:
    """The opposite of `exchange_to_dict`."""
    given = dict(data)
    given["request"] = request_from_dict(given["request"])
    given["outcome"] = Outcome(given["outcome"])
    given["messages"] = tuple(bytes_from_json(message) for message in given.get("messages", ()))
    given["hops"] = tuple(hop_of(line) for line in given.get("hops", ()))
    for name in ("faults", "redirects"):
        given[name] = tuple(given.get(name, ()))
    if given.get("backend") is not None:
        backend = dict(given["backend"])
        received = BackendRequest(**_typed(backend.pop("request")))
        calls = tuple(backend.pop("calls", ()))
        given["backend"] = BackendReply(request=received, calls=calls, **backend)
    return Exchange(**_typed(given))


def history_to_dict(history: History) -> dict[str, Any]:
    """A whole history."""
    return {
        "seed": history.seed,
        "faults": [_plain(_changed(window)) for window in history.faults],
        "exchanges": [exchange_to_dict(exchange) for exchange in history.exchanges],
    }


def history_from_dict(data: Mapping[str, Any]) -> History:
    """The opposite of `history_to_dict`."""
    return History(
        seed=data["seed"],
        faults=tuple(FaultWindow(**window) for window in data["faults"]),
        exchanges=tuple(exchange_from_dict(exchange) for exchange in data["exchanges"]),
    )


@cache
def _defaults(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (each.name, each.default_factory() if each.default_factory is not MISSING else each.default)
        for each in fields(cast("Any", kind))
    )


def _changed(value: Any) -> dict[str, Any]:
    """The fields that are not at their default."""
    found = (
        (name, getattr(value, name), default) for name, default in _defaults(cast("Hashable", type(value)))
    )
    return {name: held for name, held, default in found if held != default}


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    for name, value in found.items():
        if isinstance(value, bytes):
            found[name] = bytes_to_json(value)
        elif isinstance(value, Outcome | Protocol):
            found[name] = value.value
    return found


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    if "body" in given:
        given["body"] = bytes_from_json(given["body"])
    for name in _PAIRS & given.keys():
        if not hasattr(given[name], "items"):  # a backend reports its headers as a mapping
            given[name] = tuple((str(key), str(value)) for key, value in given[name])
    return given

"""Requests of every kind that an application may make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from suites.routing.made_up.building import Object, maybe, pick
from suites.routing.made_up.topology import CALLERS, METHODS, PATHS


@dataclass(frozen=True)
class Asked:
    """A request as it is written down."""

    caller: str
    url: str
    fields: dict[str, Any] = field(default_factory=dict)


_headers = maybe(
    **{
        "x-user": pick("alice", "bob", "alice,bob", ""),
        "x-forwarded-for": pick("192.0.2.7", "10.244.0.2, 192.0.2.9"),
        "origin": pick("http://x.test", "ftp://y.test"),
        "access-control-request-method": st.just("GET"),
        "authorization": pick("Bearer nonsense", "Bearer TOKEN-me", "Bearer TOKEN-other"),
    }
)
_at = pick(
    "b", "b", "b", "b.one", "b.one.svc.cluster.local", "b:9100", "b:9100", "b:7070", "bare:8080", "plain", "c.two",
    "c.two:81", "c.two.svc.cluster.local", "b:8080", "nowhere", "IP-OF-one/b-v1:8080", "IP-OF-one/b-v2:9100",
    "IP-OF-two/c:8080", "IP-OF-one/plain:8080", "IP-OF-one/b-v1:7777",
)  # fmt: skip
_host = st.none() | st.none() | pick("ext.test", "other.test", "b", "B.One", "c.two.svc.cluster.local:80")


def _inside(
    caller: str, at: str, path: str, method: str, headers: Object, host: str | None, protocol: str
) -> Asked:
    plain, colon, port = at.partition(":")
    if "." not in plain and "/" not in plain and not caller.startswith("one/"):
        at = f"{plain}.one{colon}{port}"
    fields: dict[str, Any] = {"method": method, "headers": headers, "protocol": protocol}
    return Asked(caller, f"http://{at}{path}", {**fields, **({"host": host} if host else {})})


def _outside(host: str, path: str, method: str, headers: Object) -> Asked:
    return Asked(
        "outside", f"http://{host}{path}", {"method": method, "headers": headers, "address": "gateway"}
    )


def _raw(caller: str, at: str) -> Asked:
    return Asked(caller, f"tcp://{at}", {"body": b"\0\1 no HTTP"})


_path, _method = pick(*PATHS), pick(*METHODS)
_calls = st.builds(
    _inside,
    pick(*CALLERS),
    _at,
    _path,
    _method,
    _headers,
    _host,
    pick("http", "http", "http", "h2c", "http/1.0"),
)
_from_outside = st.builds(
    _outside, pick("b.one.svc.cluster.local", "ext.test", "x.test"), _path, _method, _headers
)
_connections = st.builds(
    _raw,
    pick(*CALLERS),
    pick("b.one:9000", "b.one:9100", "plain.one:9000", "IP-OF-one/b-v1:9000", "IP-OF-one/plain:9000"),
)
requests = st.integers(0, 9).flatmap(lambda number: {8: _from_outside, 9: _connections}.get(number, _calls))

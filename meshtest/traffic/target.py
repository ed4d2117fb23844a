"""Where a request goes, taken from its URL without normalising anything. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.traffic.model import Protocol

if TYPE_CHECKING:
    from meshtest.traffic.model import Request

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<path>.*)", re.DOTALL)
_SECURE = frozenset({"https", "wss", "tls", "h2", "grpcs"})
_DEFAULT_PORTS = {True: 443, False: 80}
_SECURE_PROTOCOLS = frozenset({Protocol.HTTPS, Protocol.H2, Protocol.TLS})
_FOLLOWED = {"http": Protocol.HTTP, "https": Protocol.HTTPS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL taken apart; `path` is every byte after the authority."""

    scheme: str
    host: str
    port: int
    authority: str
    path: bytes
    secure: bool


def target_of(request: Request) -> Target:
    """Take a request's URL apart; `Request.port` and `Request.host` win over it."""
    found = _URL.fullmatch(request.url)
    if found is None or not found["authority"]:
        raise ScenarioError(f"not a URL: {request.url!r}", key="url", expected="scheme://host[:port][/path]")
    scheme = found["scheme"].lower()
    secure = scheme in _SECURE or request.protocol in _SECURE_PROTOCOLS or request.tls is not None
    authority = found["authority"].rpartition("@")[2]
    host, port = _host_and_port(authority, request.url)
    if port is None and request.port is None and scheme in {"tcp", "tls"}:
        raise ScenarioError(f"no port in {request.url!r}", key="url", expected=f"{scheme}://host:port")
    path = found["path"].encode("utf-8", "surrogateescape")
    if not path.startswith(b"/") and not (path == b"*" and request.method == "OPTIONS"):
        path = b"/" + path
    return Target(
        scheme=scheme,
        host=host,
        port=request.port or port or _DEFAULT_PORTS[secure],
        authority=authority if request.host is None else request.host,
        path=path,
        secure=secure,
    )


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows a redirect; an `address` given stays, as does what `location` leaves out."""
    before = target_of(request)
    port = request.port
    if "://" in location:
        url, host, port = location, None, None
    else:
        path = before.path.decode("utf-8", "surrogateescape")
        if not location.startswith("/"):
            location = path.partition("?")[0].rpartition("/")[0] + "/" + location
        url = f"{before.scheme}://{request.url.partition('://')[2].partition('/')[0].partition('?')[0]}{location}"
        host = request.host
    get = status == 303 or (status in {301, 302} and request.method == "POST")  # RFC 9110, 15.4
    return replace(
        request,
        url=url,
        host=host,
        port=port,
        protocol=_FOLLOWED.get(url.partition("://")[0].lower(), request.protocol)
        if request.protocol in _FOLLOWED.values()
        else request.protocol,
        method="GET" if get and request.method != "HEAD" else request.method,
        body=b"" if get else request.body,
        tls=request.tls if url.startswith("https") or request.protocol not in _FOLLOWED.values() else None,
    )


def _host_and_port(authority: str, url: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ScenarioError(f"no port number: {port!r} in {url!r}", key="url", expected="1 to 65535")
    return host, int(port) if port else None

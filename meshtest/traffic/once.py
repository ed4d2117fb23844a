"""One request of any protocol, from the name to the last byte, redirects included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshtest.traffic.model import Outcome
from meshtest.traffic.model import Protocol as Spoken
from meshtest.traffic.reply import Failed
from meshtest.traffic.speak_http1 import speak_http1
from meshtest.traffic.speak_http2 import speak_http2
from meshtest.traffic.speak_https import speak_negotiated
from meshtest.traffic.speak_tcp import speak_tcp
from meshtest.traffic.speak_websocket import speak_websocket
from meshtest.traffic.target import redirected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meshtest.traffic.call import Call
    from meshtest.traffic.reply import Reply

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10


async def once(call: Call) -> Reply:
    """Send one request and follow it to its end; `Request.timeout` covers everything."""
    try:
        async with asyncio.timeout(call.request.timeout):
            return await _follow(call)
    except TimeoutError:
        return call.trail.reply(Outcome.TIMEOUT, f"no whole response within {call.request.timeout:g} s")
    except Failed as exc:
        return call.trail.reply(exc.outcome, exc.error, body=exc.body)


async def _follow(call: Call) -> Reply:
    trail: list[str] = []
    while True:
        reply = await _speaker(call.request.protocol)(call)
        location = next((value for name, value in reply.headers if name.lower() == b"location"), None)
        if not call.request.follow_redirects or reply.status not in _REDIRECTS or location is None:
            break
        if len(trail) == _MOST_REDIRECTS:
            break
        following = redirected(call.request, reply.status, location.decode("utf-8", "surrogateescape"))
        trail.append(following.url)
        call = call.to(following)
    return reply._replace(redirects=tuple(trail)) if trail else reply


def _speaker(protocol: Spoken) -> Callable[[Call], Awaitable[Reply]]:
    match protocol:
        case Spoken.HTTP | Spoken.HTTP10:
            return speak_http1
        case Spoken.HTTPS:
            return speak_negotiated
        case Spoken.TCP | Spoken.TLS:
            return speak_tcp
        case Spoken.WEBSOCKET:
            return speak_websocket
        case _:
            return speak_http2

"""A single request over HTTP/1.1 or HTTP/1.0."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshtest.traffic.http1 import Http1Connection, Template

if TYPE_CHECKING:
    from meshtest.traffic.call import Call
    from meshtest.traffic.reply import Reply


async def speak_http1(call: Call) -> Reply:
    """Send over a connection of its own, or over an idle one of the caller where reuse is asked for."""
    key = ("http1", *call.destination)
    connection = call.pool.take(key) if call.request.reuse else None
    if connection is None:
        connection = await call.connect(Http1Connection)
        connection.remote = call.trail.remote
    reply = await exchange(call, connection)
    if call.request.reuse:
        call.pool.give(key, connection)
    else:
        connection.shut()
    return reply


async def exchange(call: Call, connection: Http1Connection) -> Reply:
    """One request and its response; cancelled (a timeout), it takes the connection along."""
    call.trail.local, call.trail.remote = connection.local, connection.remote
    call.trail.certificate = connection.certificate
    ended: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def done(_: Http1Connection, reply: Reply) -> None:
        if not ended.done():
            ended.set_result(reply)

    template = Template(call.request, call.target)
    marks = "".join(f",{mark}" for mark in call.marks)
    data = template.render(call.exchange.encode(), marks.encode())
    connection.exchange(data, head_only=template.head_only, done=done)
    try:
        return await ended
    except asyncio.CancelledError:
        connection.close()
        raise

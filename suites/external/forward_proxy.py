"""A forward proxy for HTTP/1.1: opens tunnels that CONNECT or POST ask for, and tells which.

    forward_proxy.py PORT TLS-PORT CERTIFICATE-AND-KEY

Envoy asks with `CONNECT host:port`, or with `POST /` and `Host: host:port`; then what is said inside is the body of the
request and of the answer. `GET /asked` answers with what was asked for since the last time, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys

ASKED: list[str] = []
"""`CONNECT host:port`, with `over TLS` behind it; the beginning of what is no request for a tunnel."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: one request."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
        line = await reader.readline()
        method, _, rest = line.decode("latin-1").partition(" ")
        if line.startswith(b"GET /asked "):
            await tell(writer)
        elif method in ("CONNECT", "POST"):
            headers = (await reader.readuntil(b"\r\n\r\n")).decode()
            to = rest.split(" ")[0] if method == "CONNECT" else host_of(headers)
            over = " over TLS" if writer.get_extra_info("ssl_object") else ""
            ASKED.append(f"{method} {to}{over}")
            await tunnel(to, reader, writer, chunked=method == "POST")
        else:
            ASKED.append(method.strip() if method.strip().isalnum() else "bytes")


def host_of(headers: str) -> str:
    """The header Host."""
    pairs = (line.partition(":") for line in headers.splitlines())
    return next(value.strip() for name, _, value in pairs if name.lower() == "host")


async def tell(writer: asyncio.StreamWriter) -> None:
    """What was asked for."""
    body = json.dumps(ASKED).encode()
    ASKED.clear()
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def tunnel(
    to: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, chunked: bool
) -> None:
    """Connect to where a tunnel was asked to, and pass on both ways until both have said their last."""
    host, _, port = to.rpartition(":")
    try:
        there, onward = await asyncio.open_connection(host, int(port))
    except OSError:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\n" + (b"transfer-encoding: chunked\r\n" if chunked else b"") + b"\r\n")
    with contextlib.closing(onward):
        await asyncio.gather(
            upload(reader, onward, chunked=chunked), download(there, writer, chunked=chunked)
        )


async def upload(reader: asyncio.StreamReader, onward: asyncio.StreamWriter, *, chunked: bool) -> None:
    """From the client to the host."""
    while data := await (chunk(reader) if chunked else reader.read(65536)):
        onward.write(data)
        await onward.drain()
    onward.write_eof()


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """The next chunk of a body (RFC 9112, 7.1); empty at its end."""
    size = int((await reader.readline()).split(b";")[0] or b"0", 16)
    data = await reader.readexactly(size)
    await reader.readline()
    return data


async def download(there: asyncio.StreamReader, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
    """From the host to the client."""
    while data := await there.read(65536):
        writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    elif writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()  # TLS


async def main(port: str, tls_port: str, certificate: str) -> None:
    """Listen until the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    anywhere = "0.0.0.0"  # noqa: S104 - in a pod of its own
    plain = await asyncio.start_server(serve, anywhere, int(port))
    secure = await asyncio.start_server(serve, anywhere, int(tls_port), ssl=context)
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

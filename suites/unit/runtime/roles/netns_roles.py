"""Tiny roles for sandboxes under test: a control plane that only listens, a driver, and echoing pods."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

import dnslib

from meshtest import wire
from meshtest.runtime.netns import kernel


def control_plane(config: dict[str, Any], sock: socket.socket) -> int:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{config['directory']}/xds.sock")
        listener.listen()
        return _serve(sock, {"ping": lambda _: {"pong": os.getpid()}})


def control_plane_again(config: dict[str, Any], sock: socket.socket) -> int:
    del config
    Path("/run/meshtest/xds.sock").unlink(missing_ok=True)
    return control_plane({"directory": "/run/meshtest"}, sock)


def failing_control_plane(config: dict[str, Any], sock: socket.socket) -> int:
    del config, sock
    sys.stderr.write("no certificate to be found\n")
    return 3


def driver(config: dict[str, Any], sock: socket.socket) -> int:
    del config
    return _serve(
        sock, {"connect": _connect, "exchange": _exchange, "resolve": _resolve, "ls": _ls} | _talk()
    )


def echo(config: dict[str, Any], sock: socket.socket | None) -> int:
    """Answer every TCP connection and UDP datagram with this pod's name, the peer and what came."""
    del sock
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", config["port"]))
    listener = socket.create_server(("", config["port"]))
    if os.fork() == 0:
        while True:
            _, peer = datagrams.recvfrom(1024)
            datagrams.sendto(f"{config['name']} {peer[0]}".encode(), peer)
    parrot = socket.create_server(("", config["port"] + 1))
    if os.fork() == 0:
        while True:
            connection, _ = parrot.accept()
            with connection:
                while found := connection.recv(1024):
                    connection.sendall(found)
    os.write(config["ready_fd"], b"\n")
    sys.stdout.write(f"{config['name']} listens\n")
    while True:
        connection, peer = listener.accept()
        with connection:
            connection.sendall(f"{config['name']} {peer[0]}\n".encode())


def never_ready(config: dict[str, Any], sock: socket.socket | None) -> int:
    del config, sock
    sys.stdout.write("waiting for a database\n")
    sys.stdout.flush()
    socket.create_server(("127.0.0.1", 1)).accept()
    return 0


def _serve(sock: socket.socket, operations: dict[str, Any]) -> int:
    stream = io.BufferedReader(socket.SocketIO(sock, "r"))
    while (frame := wire.read(stream)) is not None:
        try:
            answer = operations[frame.header["op"]](frame.header)
        except OSError as exc:
            answer = {"error": {"kind": type(exc).__name__, "message": str(exc)}}
        sock.sendall(wire.encode({"id": frame.header["id"], **answer}))
    return 0


def _socket_in(pod: str, kind: int) -> socket.socket:
    if not pod:
        return socket.socket(socket.AF_INET, kind)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/run/meshtest/netns/" + pod.replace("/", "_"), os.O_RDONLY)
    kernel.setns(there)
    try:
        return socket.socket(socket.AF_INET, kind)
    finally:
        kernel.setns(home)
        os.close(home)
        os.close(there)


def _connect(header: dict[str, Any]) -> dict[str, Any]:
    with _socket_in(header["pod"], socket.SOCK_STREAM) as sock:
        sock.settimeout(3)
        if header.get("mark"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, header["mark"])
        if header.get("source"):
            sock.bind((header["source"], 0))
        began = time.monotonic()
        try:
            sock.connect((header["ip"], header["port"]))
            sock.sendall(header.get("send", "").encode())
            answer = sock.recv(65536).decode()
        except OSError as exc:
            return {"failed": type(exc).__name__, "seconds": time.monotonic() - began}
        original = b""
        if header.get("until_close"):
            while found := sock.recv(65536):
                answer += found.decode()
        return {"answer": answer.strip(), "original": original.hex()}


def _talk() -> dict[str, Any]:
    """A connection that stays open from one request to the next."""
    held: list[socket.socket] = []

    def open_(header: dict[str, Any]) -> dict[str, Any]:
        held.append(_socket_in(header["pod"], socket.SOCK_STREAM))
        held[-1].settimeout(1)
        held[-1].connect((header["ip"], header["port"]))
        return {}

    def say(header: dict[str, Any]) -> dict[str, Any]:
        held[-1].sendall(header["text"].encode())
        return {"answer": held[-1].recv(1024).decode()}

    return {"open": open_, "say": say}


def _exchange(header: dict[str, Any]) -> dict[str, Any]:
    with _socket_in(header["pod"], socket.SOCK_DGRAM) as sock:
        sock.settimeout(header.get("within", 3))
        sock.sendto(b"?", (header["ip"], header["port"]))
        answer, peer = sock.recvfrom(1024)
        return {"answer": answer.decode(), "peer": peer[0]}


def _resolve(header: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    question = dnslib.DNSRecord.question(header["name"], header.get("type", "A"))
    raw = question.pack()
    kind = socket.SOCK_STREAM if header.get("tcp") else socket.SOCK_DGRAM
    with _socket_in(header["pod"], kind) as sock:
        sock.settimeout(3)
        sock.connect(("10.96.0.10", 53))
        sock.sendall(struct.pack(">H", len(raw)) + raw if header.get("tcp") else raw)
        reply = sock.recv(65536)
    record = dnslib.DNSRecord.parse(reply[2:] if header.get("tcp") else reply)
    return {
        "code": dnslib.RCODE[record.header.rcode],
        "answers": [str(found.rdata) for found in record.rr],
        "seconds": time.monotonic() - began,
    }


def _ls(header: dict[str, Any]) -> dict[str, Any]:
    return {"names": sorted(path.name for path in Path(header["path"]).iterdir())}

"""The short-lived container of a pod, the only one with NET_ADMIN: hands netlink messages to the kernel, and ends.

    standard input ──► {"op": "commit", "sizes": [...]} and transactions │ {"op": "dump"} and a request ──► answers

Started bare (`python -I -S`) in every pod, so it imports little and knows no rule: pytest's process makes them
(`pod_rules`), and reads what the kernel lists. It ends with its standard input.
"""

from __future__ import annotations

import errno
import json
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NETFILTER = 12
_LENGTHS = struct.Struct(">II")
_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_LARGEST = 1 << 20


def main() -> int:
    """Serve until standard input ends."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
        kernel.bind((0, 0))
        while len(head := sys.stdin.buffer.read(_LENGTHS.size)) == _LENGTHS.size:
            size, extra = _LENGTHS.unpack(head)
            header = json.loads(sys.stdin.buffer.read(size))
            payload = sys.stdin.buffer.read(extra)
            if header["op"] == "commit":
                _send({"id": header["id"], "refused": _commit(kernel, payload, header["sizes"])})
            else:
                _send({"id": header["id"]}, _dump(kernel, payload))
    return 0


def _commit(kernel: socket.socket, payload: bytes, sizes: list[int]) -> list[int] | None:
    """Apply one transaction after the other; the one that was refused, the place in it, and the kernel's number."""
    offset = 0
    for number, size in enumerate(sizes):
        kernel.send(payload[offset : offset + size])
        offset += size
        # The kernel works a request off before the call returns, and answers without being asked only to say no.
        while True:
            try:
                found = kernel.recv(_LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:
                    raise
                continue
            for kind, sequence, code in _answers(found):
                if kind == _ERROR and code:
                    return [number, sequence, -code]
    return None


def _dump(kernel: socket.socket, request: bytes) -> bytes:
    """Everything that the kernel lists."""
    kernel.send(request)
    listed = b""
    while True:
        found = kernel.recv(_LARGEST)
        listed += found
        if any(kind in {_ERROR, _DONE} for kind, _, _ in _answers(found)):
            return listed


def _answers(data: bytes) -> list[tuple[int, int, int]]:
    """Kind, sequence number and first word of every message."""
    found, offset = [], 0
    while offset + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        code = struct.unpack_from("=i", data, offset + _HEADER.size)[0] if size >= _HEADER.size + 4 else 0
        found.append((kind, sequence, code))
        offset += size + -size % 4
    return found


def _send(header: dict[str, Any], payload: bytes = b"") -> None:
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(_LENGTHS.pack(len(text), len(payload)) + text + payload)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

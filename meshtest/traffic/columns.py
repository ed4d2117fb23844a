"""The results of a load as columns: numbers as arrays, whatever repeats stored once.

Columns.add(index, reply, ...) ─ pack ─► header (JSON) + payload (bytes) ─ unpack ─► Exchange per request
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any

from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.reply import Headers, Reply


_OUTCOMES = tuple(Outcome)
_NUMBER = {outcome: number for number, outcome in enumerate(_OUTCOMES)}
_TYPES = {
    "outcome": "B",
    "status": "h",
    "grpc": "h",
    "number": "I",
    "started": "d",
    "latency": "d",
    "late": "d",
}
_REFERENCES = ("shape", "body", "local")
_NONE = -1


class _Once:
    """Values stored once each, in the order of their first appearance."""

    __slots__ = ("index", "values")

    def __init__(self) -> None:
        self.index: dict[Any, int] = {}
        self.values: list[Any] = []

    def __call__(self, value: Any) -> int:
        found = self.index.get(value)
        if found is None:
            found = self.index[value] = len(self.values)
            self.values.append(value)
        return found


class Columns:
    """Collects replies; `number` is the position of the request in the load."""

    def __init__(self) -> None:
        self._numbers: dict[str, array[Any]] = {name: array(code) for name, code in _TYPES.items()}
        self._references = {name: array("I") for name in _REFERENCES}
        self._shapes, self._bodies, self._locals = _Once(), _Once(), _Once()

    def add(self, number: int, reply: Reply, *, started: float, latency: float, late: float) -> None:
        """One ended exchange."""
        columns = self._numbers
        columns["outcome"].append(_NUMBER[reply.outcome])
        columns["status"].append(_NONE if reply.status is None else reply.status)
        columns["grpc"].append(_NONE if reply.grpc_status is None else reply.grpc_status)
        columns["number"].append(number)
        columns["started"].append(started)
        columns["latency"].append(latency)
        columns["late"].append(late)
        shape = (
            reply.headers,
            reply.trailers,
            reply.protocol,
            reply.error,
            reply.remote,
            reply.certificate,
            reply.redirects,
        )
        self._references["shape"].append(self._shapes(shape))
        self._references["body"].append(self._bodies((reply.body, *reply.messages)))
        self._references["local"].append(self._locals(reply.local))

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """Header keys and payload of the answer."""
        chunks = [column.tobytes() for column in (*self._numbers.values(), *self._references.values())]
        parts = [part for body in self._bodies.values for part in body]
        chunks += [array("I", map(len, self._bodies.values)).tobytes(), array("I", map(len, parts)).tobytes()]
        chunks += parts
        shapes = [_shape_to_json(*shape) for shape in self._shapes.values]
        head = {
            "count": len(self._numbers["number"]),
            "bodies": [len(self._bodies.values), len(parts)],
            "locals": self._locals.values,
            "shapes": json.dumps(shapes, separators=(",", ":")),
        }
        return head, b"".join(chunks)


def unpack(header: dict[str, Any], payload: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and Exchange fields of every request, in order of position."""
    count: int = header["count"]
    reader = _Reader(payload)
    columns = {name: reader.array(code, count) for name, code in _TYPES.items()}
    references = {name: reader.array("I", count) for name in _REFERENCES}
    bodies = reader.bodies(*header["bodies"])
    shapes = [_shape_from_json(shape) for shape in json.loads(header["shapes"])]
    names: list[str] = header["locals"]
    order = sorted(range(count), key=columns["number"].__getitem__)
    for row in order:
        body, messages = bodies[references["body"][row]]
        status, grpc = columns["status"][row], columns["grpc"][row]
        yield (
            columns["number"][row],
            {
                **shapes[references["shape"][row]],
                "outcome": _OUTCOMES[columns["outcome"][row]],
                "status": None if status == _NONE else status,
                "grpc_status": None if grpc == _NONE else grpc,
                "started": columns["started"][row],
                "latency": columns["latency"][row],
                "sent_late": columns["late"][row],
                "local_address": names[references["local"][row]],
                "body": body,
                "messages": messages,
            },
        )


def single(reply: Reply, *, started: float, latency: float) -> tuple[dict[str, Any], bytes]:
    """The answer to a single request: a load of one."""
    columns = Columns()
    columns.add(0, reply, started=started, latency=latency, late=0.0)
    return columns.pack()


class _Reader:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._offset = 0

    def array(self, code: str, count: int) -> array[Any]:
        column: array[Any] = array(code)
        column.frombytes(self._take(count * column.itemsize))
        return column

    def bodies(self, count: int, parts: int) -> list[tuple[bytes, tuple[bytes, ...]]]:
        counts, lengths = self.array("I", count), iter(self.array("I", parts))
        found = []
        for number in counts:
            first, *messages = [self._take(next(lengths)) for _ in range(number)]
            found.append((first, tuple(messages)))
        return found

    def _take(self, size: int) -> bytes:
        start = self._offset
        self._offset = start + size
        return self._payload[start : self._offset]


def _shape_to_json(*values: Any) -> list[Any]:
    headers, trailers, *rest = values
    return [_texts(headers), _texts(trailers), *rest]


def _texts(headers: Headers) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def _shape_from_json(values: list[Any]) -> dict[str, Any]:
    headers, trailers, protocol, error, remote, certificate, redirects = values
    return {
        "headers": tuple((name, value) for name, value in headers),
        "trailers": tuple((name, value) for name, value in trailers),
        "protocol": protocol,
        "error": error,
        "remote_address": remote,
        "server_certificate": certificate,
        "redirects": tuple(redirects),
    }

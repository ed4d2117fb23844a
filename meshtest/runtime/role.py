"""A role in a process of its own: `python -m meshtest.runtime.role package.module:function`.

    standard input ──► pump ──► socket ──► the role          frames of `meshtest.wire`, both ways
    standard output ◄── pump ◄────┘

The configuration is the JSON in MESHTEST_CONFIG. What the role itself prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = "MESHTEST_CONFIG"
_CHUNK = 1 << 18


def main(target: str) -> int:
    """Run a role to its end."""
    config: dict[str, Any] = json.loads(os.environ.pop(CONFIG, "{}"))
    output = os.dup(1)
    os.dup2(2, 1)
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _pump(theirs, 0, output)
    theirs.close()
    os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    return _function(target)(config, ours) or 0


def _function(target: str) -> Callable[[dict[str, Any], socket.socket | None], int | None]:
    module, _, name = target.partition(":")
    found: Callable[[dict[str, Any], socket.socket | None], int | None]
    found = getattr(importlib.import_module(module), name)
    return found


def _pump(sock: socket.socket, source: int, sink: int) -> None:
    """Carry bytes both ways until either side has ended; in a process of its own, so that the role is not held up."""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ, lambda: _carry_in(source, sock))
        selector.register(sock, selectors.EVENT_READ, lambda: _carry_out(sock, sink))
        going = True
        while going:
            for key, _ in selector.select():
                going = key.data() and going
    os._exit(0)


def _carry_in(source: int, sock: socket.socket) -> bool:
    found = os.read(source, _CHUNK)
    if found:
        sock.sendall(found)
    return bool(found)


def _carry_out(sock: socket.socket, sink: int) -> bool:
    try:
        found = sock.recv(_CHUNK)
    except OSError:
        return False
    view = memoryview(found)
    while view:
        view = view[os.write(sink, view) :]
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

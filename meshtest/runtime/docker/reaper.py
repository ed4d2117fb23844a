"""The container that outlives a run by a moment: when pytest's end of its stream is gone, everything of the run goes.

Speaks the Docker API over the daemon's socket with the standard library alone; `labels` tell what belongs to the run.
Everything is asked for twice, since what was just being made when pytest's process died appears late.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOCKET = "/var/run/docker.sock"
_ROUNDS = 4
_PAUSE = 0.5
_THREADS = 8
_HARMLESS = {404, 409}


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(_SOCKET)


def ask(method: str, path: str) -> Any:
    """One request to the daemon; None where there is nothing to answer."""
    connection = _Connection("docker", timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 400 and answer.status not in _HARMLESS:
            sys.stderr.write(f"{method} {path}: {answer.status} {body.decode(errors='replace')}\n")
        return json.loads(body) if body and answer.status < 300 else None
    finally:
        connection.close()


def sweep(label: str, own: str) -> bool:
    """Remove what carries the label, but for the reaper itself; whether there was anything."""
    chosen = quote(json.dumps({"label": [label]}))
    containers = [one["Id"] for one in ask("GET", f"/containers/json?all=1&filters={chosen}") or []]
    others = [one for one in containers if not one.startswith(own)]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda one: ask("DELETE", f"/containers/{one}?force=1&v=1"), others))
    networks = [one["Id"] for one in ask("GET", f"/networks?filters={chosen}") or []]
    volumes = [one["Name"] for one in (ask("GET", f"/volumes?filters={chosen}") or {}).get("Volumes") or []]
    for network in networks:
        ask("DELETE", f"/networks/{network}")
    for volume in volumes:
        ask("DELETE", f"/volumes/{volume}?force=1")
    return bool(others or networks or volumes)


def main(config: Mapping[str, Any]) -> int:
    """Wait for the end of standard input, then clean up."""
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    own = socket.gethostname()
    for _ in range(_ROUNDS):
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            sweep(config["label"], own)
        time.sleep(_PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(os.environ["MESHTEST_CONFIG"])))

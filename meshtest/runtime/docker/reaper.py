"""The container that outlives a run by a moment: when pytest's end of its stream is gone, everything of the run goes.

Speaks the Docker API over the daemon's socket with the standard library alone; `labels` tell what belongs to the run.
It looks again until it has found nothing for a while, since what was just being made when pytest's process died
appears late. Started bare (`python -I -S`) beside every mesh, so it loads what it needs when it needs it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOCKET = "/var/run/docker.sock"
_QUIET_ROUNDS = 4
_PAUSE = 0.5
_LONGEST = 300.0
_THREADS = 8
_HARMLESS = {404, 409}


def ask(method: str, path: str) -> Any:
    """One request to the daemon; None where there is nothing to answer."""
    import http.client  # noqa: PLC0415 - only at the end

    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(60)
        connection.sock.connect(_SOCKET)
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
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as above
    from urllib.parse import quote  # noqa: PLC0415 - as above

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


def main() -> int:
    """Wait for the end of standard input, then clean up."""
    label = json.loads(os.environ["MESHTEST_CONFIG"])["label"]
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    own, until, quiet = socket.gethostname(), time.monotonic() + _LONGEST, 0
    while quiet < _QUIET_ROUNDS and time.monotonic() < until:
        try:
            quiet = 0 if sweep(label, own) else quiet + 1
        except Exception as exc:  # noqa: BLE001 - a busy daemon is asked again
            quiet = 0
            sys.stderr.write(f"{exc}\n")
        time.sleep(_PAUSE)  # for what is still being made
    return 0


if __name__ == "__main__":
    sys.exit(main())

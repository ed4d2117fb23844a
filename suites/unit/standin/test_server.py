"""The role as a process: readiness, its end, what it costs to import."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[3]
_RUN = "import json, sys; from meshtest.standin.server import main; sys.exit(main(json.loads(sys.argv[1])))"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _process(**config: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A role in a process of its own; here when it says that it is ready."""
    ready, told = os.pipe()
    argv = [sys.executable, "-c", _RUN, json.dumps({**config, "ready_fd": told})]
    with subprocess.Popen(argv, cwd=_ROOT, pass_fds=(told,)) as process:
        os.close(told)
        with os.fdopen(ready, "rb") as file:
            assert file.read() == b"\n"
        yield process
        process.kill()


def test_says_when_every_port_listens() -> None:
    ports = [_free_port(), _free_port()]
    with _process(ports=[{"port": port} for port in ports]):
        for port in ports:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_sigterm_lets_answers_under_way_end() -> None:
    port = _free_port()
    with (
        _process(ports=[{"port": port}]) as process,
        socket.create_connection(("127.0.0.1", port), timeout=5) as sock,
    ):
        sock.sendall(b"GET /warm HTTP/1.1\r\nhost: a\r\n\r\nGET /?delay=300ms HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"/warm" in sock.recv(65536)
        process.send_signal(signal.SIGTERM)
        assert b"200 OK" in sock.recv(65536)
        assert sock.recv(1) == b""
        assert process.wait(timeout=5) == 0


def test_a_port_that_is_taken_ends_it() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 - as it listens
        argv = [sys.executable, "-c", _RUN, json.dumps({"ports": [{"port": taken.getsockname()[1]}]})]
        ended = subprocess.run(argv, cwd=_ROOT, capture_output=True, check=False, timeout=20)
    assert ended.returncode != 0
    assert b"address already in use" in ended.stderr


def test_runs_as_a_program() -> None:
    port = _free_port()
    argv = [sys.executable, "-m", "meshtest.standin", f"--port={port}=server-first", "--workload=db"]
    with subprocess.Popen(argv, cwd=_ROOT) as process:
        try:
            assert _greeting(port).startswith(b"meshtest workload=db ")
        finally:
            process.terminate()
        assert process.wait(timeout=5) == 0


def _greeting(port: int) -> bytes:
    def greeting() -> bytes | None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return sock.recv(1000)
        return None

    return wait_until(greeting, 10, lambda: f"nothing listens on {port}", step=0.02)


@pytest.mark.parametrize("dear", ["h2", "wsproto", "cryptography", "grpc", "google.protobuf", "yaml"])
def test_importing_the_role_leaves_dear_libraries_alone(dear: str) -> None:
    code = f"import sys, meshtest.standin.server; sys.exit({dear!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False, timeout=20).returncode == 0

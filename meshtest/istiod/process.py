"""The engine's process: frames on its standard streams, its last words in a file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING, Any

from meshtest.errors import EngineError
from meshtest.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshtest.wire import Frame

SWITCHES = {
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",  # stock Envoy has no such filter
    "PILOT_JWT_ENABLE_REMOTE_JWKS": "envoy",  # else istiod fetches key sets itself
    "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS": "true",
}
"""What istiod's own tests and stock Envoy need; istiod reads them before its `main` runs."""


class Process:
    """One run of the engine's binary; it ends when its input ends, so it cannot outlive this process."""

    def __init__(self, binary: Path, env: Mapping[str, str]) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._popen = subprocess.Popen(
                [os.fspath(binary), "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if "MESHTEST_ISTIOD_LOG" in {**os.environ, **env} else self._said,
                env={**os.environ, **SWITCHES, **env},
            )
        except OSError as exc:
            self._said.close()
            raise EngineError(f"the istiod engine {binary} does not start: {exc}") from exc
        assert self._popen.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._popen.stdout is not None  # noqa: S101
        self._channel = Channel("the istiod engine", self._popen.stdout, self._popen.stdin)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def ask(self, op: str, *, timeout: float, **fields: Any) -> Frame:
        """One request and its answer."""
        return self._channel.call(op, timeout=timeout, **fields)

    def close(self, *, timeout: float = 5.0) -> str:
        """End it; what it wrote when it died by itself: a panic of istiod and where it was."""
        self._channel.close()
        try:
            self._popen.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        if self._popen.stdout is not None:
            with contextlib.suppress(OSError):
                self._popen.stdout.close()
        with self._said:
            self._said.seek(0)
            return _last_words(self._said.read().decode(errors="replace").splitlines())


def _last_words(lines: list[str]) -> str:
    start = next((i for i, line in enumerate(lines) if line.startswith(("panic:", "fatal error:"))), 0)
    return "\n".join(lines[start : start + 25])

"""The cluster's resolver as a container: netns's own, on every address of the container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns.resolver import Server
from meshtest.runtime.netns.stream import FrameSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping


def main(_: Mapping[str, Any], sock: socket.socket) -> int:
    """Serve until pytest's process hangs up."""
    Server(FrameSocket(sock), "0.0.0.0").serve()  # noqa: S104 - the run's network sees nobody else
    return 0

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from meshtest.traffic import source_ports
from meshtest.traffic.source_ports import SourcePorts

if TYPE_CHECKING:
    import pytest


def bound(ports: SourcePorts, caller: str = "default/a") -> int:
    """The port of a socket that is closed again."""
    with socket.socket() as sock:
        ports.bind(sock, caller)
        return int(sock.getsockname()[1])


def test_no_port_comes_again_before_all_had_their_turn() -> None:
    ports = SourcePorts()
    assert len({bound(ports) for _ in range(2000)}) == 2000


def test_a_port_that_somebody_has_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other, socket.socket() as another:
        for sock in (other, another):
            sock.bind(("", 0))
        taken, free = (sock.getsockname()[1] for sock in (other, another))
        another.close()
        monkeypatch.setattr(source_ports, "_RANGE", (taken, free))
        assert {bound(SourcePorts()) for _ in range(4)} == {free}


def test_where_none_is_free_the_kernel_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        taken = other.getsockname()[1]
        monkeypatch.setattr(source_ports, "_RANGE", range(taken, taken + 1))
        assert bound(SourcePorts()) == 0

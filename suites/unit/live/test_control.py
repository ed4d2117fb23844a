from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest.istiod.engine import Update
from meshtest.live.control import ControlPlane
from meshtest.waiting import Timeouts
from meshtest.wire import Frame

if TYPE_CHECKING:
    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import MeshModel
    from meshtest.wire import Channel


class Istiod:
    """An engine that finds nothing changed."""

    def update(self, **_: Any) -> Update:
        return Update(header={}, payload=b"", messages=(), generation=1)


class Server:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.within: list[float] = []
        self.called: list[float] = []

    def call(self, _op: str, *, timeout: float, **_: Any) -> Frame:
        self.called.append(timeout)
        return Frame(header={}, payload=b"")

    def start(self, _op: str, _payload: bytes, *, within: float, **_: Any) -> int:
        self.within.append(within)
        return 1

    def result(self, _ticket: int, *, timeout: float) -> Frame:
        assert timeout > self.within[-1]
        return Frame(header={}, payload=b"")


@pytest.fixture
def server() -> Server:
    return Server()


def test_sidecars_that_start_have_the_time_of_a_start_and_others_that_of_a_push(
    model: MeshModel, server: Server
) -> None:
    control = ControlPlane(cast("Engine", Istiod()), cast("Channel", server), Timeouts(start=200.0, push=7.0))
    control.change(model, None)
    control.change(model, None)
    assert server.within == [200.0, 7.0]
    assert server.called == [200.0, 7.0]

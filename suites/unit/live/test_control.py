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
        self.asked: list[str] = []
        self.within: list[float] = []
        self.waited: list[tuple[str, float]] = []

    def start(self, op: str, _payload: bytes = b"", *, within: float | None = None, **_: Any) -> int:
        self.asked.append(op)
        self.within += [] if within is None else [within]
        return len(self.asked) - 1

    def result(self, ticket: int, *, timeout: float) -> Frame:
        self.waited.append((self.asked[ticket], timeout))
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
    assert server.waited == [("proxies", 200.0), ("update", 205.0), ("proxies", 7.0), ("update", 12.0)]


def test_a_change_is_asked_for_before_anything_is_answered(model: MeshModel, server: Server) -> None:
    """To a control plane in a container each question has a way to go."""
    control = ControlPlane(cast("Engine", Istiod()), cast("Channel", server), Timeouts())
    seen: list[list[str]] = []
    control.change(model, None, lambda: seen.append([*server.asked, *(op for op, _ in server.waited)]))
    assert seen == [["proxies", "update"]]

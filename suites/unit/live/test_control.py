from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest.errors import ConfigurationRejected
from meshtest.istiod.engine import Update
from meshtest.live.control import ControlPlane
from meshtest.waiting import Timeouts
from meshtest.wire import Frame, RemoteError

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
        self.rejects = False
        self.silent = ""
        self.within: list[float] = []
        self.waited: list[tuple[str, float]] = []

    def start(self, op: str, _payload: bytes = b"", *, within: float | None = None, **_: Any) -> int:
        self.asked.append(op)
        self.within += [] if within is None else [within]
        return len(self.asked) - 1

    def result(self, ticket: int, *, timeout: float) -> Frame:
        self.waited.append((self.asked[ticket], timeout))
        if self.rejects and self.asked[ticket] == "update":
            raise RemoteError("the control plane", {"kind": "Rejected", "message": "no"})
        return Frame(header={}, payload=b"")

    def call(self, op: str, _payload: bytes = b"", *, timeout: float, **_: Any) -> Frame:
        self.asked.append(op)
        return Frame(header={"took": timeout}, payload=b"")


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
    assert server.waited == [("proxies", 200.0), ("update", 205.0), ("update", 12.0)]


def test_a_change_is_asked_for_before_anything_is_answered(model: MeshModel, server: Server) -> None:
    """To a control plane in a container each question has a way to go."""
    control = ControlPlane(cast("Engine", Istiod()), cast("Channel", server), Timeouts())
    seen: list[list[str]] = []
    control.change(model, None, lambda: seen.append([*server.asked, *(op for op, _ in server.waited)]))
    assert seen == [["proxies", "update"]]


def test_envoys_are_introduced_once_and_again_to_a_server_that_may_have_forgotten(
    model: MeshModel, server: Server
) -> None:
    control = ControlPlane(cast("Engine", Istiod()), cast("Channel", server), Timeouts())
    control.change(model, None)
    control.change(model, None)
    assert server.asked == ["proxies", "update", "update"]
    fewer = replace(model, pods=model.pods[1:])
    control.change(fewer, None)
    assert server.asked[3:5] == ["proxies", "update"]
    del server.asked[:]
    control.suspend("down")
    control.resume()
    control.change(fewer, None)
    assert [op for op in server.asked if op != "away"] == ["proxies", "update", "update"]


def test_after_a_rejection_envoys_are_introduced_again(model: MeshModel, server: Server) -> None:
    control = ControlPlane(cast("Engine", Istiod()), cast("Channel", server), Timeouts())
    control.change(model, None)
    server.rejects = True
    with pytest.raises(ConfigurationRejected):
        control.change(model, None)
    server.rejects = False
    del server.asked[:]
    control.change(model, None)
    assert server.asked == ["proxies", "update"]

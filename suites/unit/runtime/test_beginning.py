"""What needs no plan starts before there is one, and is used or ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.live.applications import in_code
from meshtest.live.mesh import Mesh
from meshtest.live.roles import EVERYWHERE
from meshtest.live.state import MeshOptions
from meshtest.runner import head_start
from meshtest.runner.pool import MeshPool, PoolOptions
from meshtest.runtime.netns.runtime import NetnsRuntime
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = ["netns_roles:control_plane", "netns_roles:driver"]


Begin = Callable[..., Any]


@pytest.fixture
def own(runtime: NetnsRuntime, bench: Any) -> Iterator[NetnsRuntime]:
    """A runtime that no other test prepares; the bench uses it, too."""
    del runtime  # it has seen that namespaces can be made here
    bench.runtime = NetnsRuntime()
    yield bench.runtime
    bench.runtime.release()


@pytest.fixture
def begin(own: NetnsRuntime, family_of: Any) -> Begin:
    """Prepares a sandbox, and says what runs for it once its control plane does."""

    def new(before: set[int]) -> Any:
        family = family_of()
        family.members -= before
        return family

    def prepare(*targets: str) -> Any:
        before = set(family_of().members)
        own.prepare(targets or TARGETS)
        wait_until(
            lambda: any(line.endswith(" control-plane") for line in new(before).alive()),
            20.0, lambda: f"only {new(before).alive()}", step=0.005,
        )  # fmt: skip
        return new(before)

    return prepare


def test_what_was_begun_is_what_is_started(bench: Any, begin: Begin, family_of: Any) -> None:
    begun = begin()
    sandbox = bench.start(bench.pod("a", 2))
    assert {begun.named("supervisor"), begun.named("control-plane")} <= family_of().members
    assert sandbox.control_plane.call("ping", timeout=20).header["pong"]


def test_what_was_begun_is_for_one_sandbox(bench: Any, begin: Begin) -> None:
    begin()
    first, second = bench.start(bench.pod("a", 2)), bench.start(bench.pod("a", 2))
    first.close()
    assert second.control_plane.call("ping", timeout=20).header["pong"]


def test_beginning_twice_begins_once(own: NetnsRuntime, begin: Begin, family_of: Any) -> None:
    begin()
    before = set(family_of().members)
    own.prepare(TARGETS)
    assert family_of().members <= before


def test_release_ends_what_nobody_used(own: NetnsRuntime, begin: Begin) -> None:
    begun = begin()
    own.release()
    assert begun.alive() == []
    own.release()


def test_a_control_plane_that_cannot_be_loaded_says_so_at_the_start(own: NetnsRuntime, bench: Any) -> None:
    own.prepare(["netns_roles_nowhere:main"])
    with pytest.raises(RuntimeFailure, match="No module named 'netns_roles_nowhere'"):
        bench.start(bench.pod("a", 2))


def test_the_first_mesh_of_a_session_gets_what_was_begun(own: NetnsRuntime) -> None:
    pool = MeshPool(PoolOptions(), begun=own)
    assert [pool._take(name) for name in ("docker", "netns", "netns")] == [None, own, None]


def test_a_session_without_a_mesh_ends_what_was_begun(own: NetnsRuntime, begin: Begin) -> None:
    begun = begin(*EVERYWHERE)
    MeshPool(PoolOptions(), begun=own).close()
    assert begun.alive() == []


def test_a_mesh_that_cannot_start_ends_what_was_begun(own: NetnsRuntime, begin: Begin) -> None:
    begun = begin(*EVERYWHERE)
    options = MeshOptions(applications=in_code(images={"*": "manifest"}))
    with pytest.raises(Unsupported, match="runs no images"):
        Mesh([], options, None, own)
    assert begun.alive() == []


@pytest.mark.parametrize("name", ["docker", "netn"])
def test_only_what_surely_runs_gets_a_head_start(name: str) -> None:
    assert head_start.runtime(name) is None

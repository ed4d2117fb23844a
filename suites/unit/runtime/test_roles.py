from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.abilities import Between
from meshtest.runtime.base import Action, Part, Role
from meshtest.waiting import wait_until

ROUTER = Role(target="netns_roles:driver")


def test_a_further_role_reaches_every_pod_from_the_router(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), bench.pod("b", 3))
    assert isinstance(sandbox, Between)
    channel = sandbox.role("meshtest/between", ROUTER)
    answer = channel.call("connect", timeout=10, pod="", ip="10.244.0.3", port=9080).header
    assert answer["answer"] == "b 172.18.0.1"


def test_the_same_name_is_the_same_process_until_it_ends(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    first = sandbox.role("meshtest/between", ROUTER)
    assert sandbox.role("meshtest/between", ROUTER) is first
    sandbox.signal("meshtest/between", Part.APPLICATION, Action.KILL)
    again = sandbox.role("meshtest/between", ROUTER)
    assert again is not first
    assert again.call("connect", timeout=10, pod="", ip="10.244.0.2", port=9080).header["answer"]


def test_a_role_that_cannot_start_says_so(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    channel = sandbox.role("meshtest/between", Role(target="no_such_module:main"))
    with pytest.raises(RuntimeFailure, match="ended"):
        channel.call("anything", timeout=10)
    wait_until(lambda: "no_such_module" in "".join(sandbox.ended_processes), 5.0, lambda: "no report")

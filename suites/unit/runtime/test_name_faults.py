from __future__ import annotations

from typing import Any

import pytest

from meshtest.runtime.base import Action, NameFault, Part

ONE = "one.default.svc.cluster.local"
A, B = "10.244.0.2", "10.244.0.3"


@pytest.fixture
def sandbox(bench: Any) -> Any:
    return bench.start(bench.pod("a", 2), bench.pod("b", 3), network=bench.services(one=[2], two=[3]))


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("fault", "code", "answers"),
    [
        ({"code": "NXDOMAIN"}, "NXDOMAIN", []),
        ({"code": "SERVFAIL"}, "SERVFAIL", []),
        ({"addresses": ("10.0.0.9",)}, "NOERROR", ["10.0.0.9"]),
    ],
    ids=["nxdomain", "servfail", "address"],
)
def test_a_wrong_answer(
    bench: Any, sandbox: Any, fault: dict[str, Any], code: str, answers: list[str], *, tcp: bool
) -> None:
    sandbox.misname("x", NameFault(names=(ONE,), **fault))
    found = bench.ask("resolve", name=ONE, tcp=tcp)
    assert (found["code"], found["answers"]) == (code, answers)
    assert bench.ask("resolve", name="two.default.svc.cluster.local", tcp=tcp)["answers"] == ["10.96.1.2"]
    assert sandbox.misnamed("x") == 1
    sandbox.misname("x", None)
    assert bench.ask("resolve", name=ONE, tcp=tcp)["answers"] == ["10.96.1.1"]
    assert sandbox.misnamed("x") == 1


def test_a_slow_answer_is_right_and_holds_nobody_else_up(bench: Any, sandbox: Any) -> None:
    sandbox.misname("x", NameFault(names=(ONE,), delay=0.3))
    slow = bench.ask("resolve", name=ONE)
    assert slow["answers"] == ["10.96.1.1"]
    assert 0.3 <= slow["seconds"] < 1
    assert bench.ask("resolve", name="two.default.svc.cluster.local")["seconds"] < 0.2


def test_only_the_pods_that_are_meant_are_misled(bench: Any, sandbox: Any) -> None:
    sandbox.misname("x", NameFault(names=(ONE,), sources=(A,), code="NXDOMAIN"))
    assert bench.ask("resolve", "default/a", name=ONE)["code"] == "NXDOMAIN"
    assert bench.ask("resolve", "default/b", name=ONE)["answers"] == ["10.96.1.1"]
    assert sandbox.misnamed("x") == 1


def test_the_later_fault_lies_on_top_and_delays_add_up(bench: Any, sandbox: Any) -> None:
    sandbox.misname("x", NameFault(names=(ONE,), code="NXDOMAIN", delay=0.1))
    sandbox.misname("y", NameFault(names=(ONE,), addresses=("10.0.0.9",), delay=0.1))
    found = bench.ask("resolve", name=ONE)
    assert found["answers"] == ["10.0.0.9"]
    assert found["seconds"] >= 0.2
    sandbox.misname("y", None)
    assert bench.ask("resolve", name=ONE)["code"] == "NXDOMAIN"


def test_a_fault_of_the_same_name_counts_anew(bench: Any, sandbox: Any) -> None:
    for _ in range(2):
        sandbox.misname("x", NameFault(names=(ONE,), code="NXDOMAIN"))
        bench.ask("resolve", name=ONE)
        assert sandbox.misnamed("x") == 1
        sandbox.misname("x", None)


def test_names_below_a_name_are_meant_too(bench: Any, sandbox: Any) -> None:
    sandbox.misname("x", NameFault(names=("default.svc.cluster.local",), code="SERVFAIL"))
    assert bench.ask("resolve", name=ONE)["code"] == "SERVFAIL"


def test_a_resolver_that_is_started_again_knows_what_to_get_wrong(bench: Any, sandbox: Any) -> None:
    sandbox.misname("x", NameFault(names=(ONE,), code="NXDOMAIN"))
    sandbox.signal("meshtest/resolver", Part.APPLICATION, Action.KILL)
    sandbox.signal("meshtest/resolver", Part.APPLICATION, Action.START)
    assert bench.ask("resolve", name=ONE)["code"] == "NXDOMAIN"

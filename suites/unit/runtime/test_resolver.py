from __future__ import annotations

import random
from typing import Any

import dnslib
import pytest

from meshtest.runtime.base import Action, Part
from meshtest.runtime.netns.resolver import Names, Zone, respond

RNG = random.Random(7)  # noqa: S311 - spreads load, guards nothing
NAMES = {
    "one.default.svc.cluster.local": ["10.96.1.1"],
    "headless.default.svc.cluster.local": [f"10.244.0.{number}" for number in range(2, 42)],
    "alias.default.svc.cluster.local": ["CNAME one.default.svc.cluster.local"],
    "away.default.svc.cluster.local": ["CNAME example.com"],
    "loop.default.svc.cluster.local": ["CNAME loop.default.svc.cluster.local"],
    "*.wild.example": ["198.19.0.2"],
    "own.wild.example": ["198.19.0.3"],
    "toward.default.svc.cluster.local": ["CNAME x.wild.example"],
}


def ask(name: str, kind: str = "A", *, stream: bool = True) -> Any:
    reply = respond(Zone(NAMES, RNG), dnslib.DNSRecord.question(name, kind).pack(), stream=stream)
    assert reply is not None
    packed, late = reply
    assert late == 0
    return dnslib.DNSRecord.parse(packed)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [
        ("one.default.svc.cluster.local", "A", "NOERROR", ["10.96.1.1"]),
        ("ONE.Default.svc.cluster.local", "A", "NOERROR", ["10.96.1.1"]),
        ("one.default.svc.cluster.local", "AAAA", "NOERROR", []),
        ("nobody.default.svc.cluster.local", "A", "NXDOMAIN", []),
        ("example.com", "A", "NXDOMAIN", []),
        ("alias.default.svc.cluster.local", "A", "NOERROR", ["one.default.svc.cluster.local.", "10.96.1.1"]),
        ("alias.default.svc.cluster.local", "AAAA", "NOERROR", ["one.default.svc.cluster.local."]),
        ("away.default.svc.cluster.local", "A", "NOERROR", ["example.com."]),
        ("x.wild.example", "A", "NOERROR", ["198.19.0.2"]),
        ("y.x.wild.example", "A", "NOERROR", ["198.19.0.2"]),
        ("own.wild.example", "A", "NOERROR", ["198.19.0.3"]),
        ("wild.example", "A", "NXDOMAIN", []),
        ("toward.default.svc.cluster.local", "A", "NOERROR", ["x.wild.example.", "198.19.0.2"]),
    ],
)
def test_answers_what_the_zone_says(name: str, kind: str, code: str, answers: list[str]) -> None:
    reply = ask(name, kind)
    assert dnslib.RCODE[reply.header.rcode] == code
    assert [str(found.rdata) for found in reply.rr] == answers


def test_addresses_come_in_changing_order() -> None:
    zone = Zone(NAMES, RNG)
    question = dnslib.DNSRecord.question("headless.default.svc.cluster.local")
    assert len({tuple(str(found.rdata) for found in zone.answer(question).rr) for _ in range(5)}) > 1


def test_a_long_answer_is_truncated_over_udp_and_whole_over_tcp() -> None:
    assert ask("headless.default.svc.cluster.local", stream=False).header.tc == 1
    assert len(ask("headless.default.svc.cluster.local").rr) == 40


def test_a_name_that_leads_to_itself_ends() -> None:
    assert len(ask("loop.default.svc.cluster.local").rr) <= 8


def test_what_is_no_question_gets_no_answer() -> None:
    assert respond(Zone(NAMES, RNG), b"\x00\x01", stream=False) is None


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_pods_resolve_names(bench: Any, *, tcp: bool) -> None:
    bench.start(bench.pod("a", 2), network=bench.services(one=[2]))
    assert bench.ask("resolve", name="one.default.svc.cluster.local", tcp=tcp)["answers"] == ["10.96.1.1"]
    unknown = bench.ask("resolve", name="nobody.default.svc.cluster.local", tcp=tcp)
    assert unknown["code"] == "NXDOMAIN"
    assert unknown["seconds"] < 0.5


def test_programs_resolve_short_names_by_the_search_list(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), network=bench.services(one=[2]))
    for name in ("one", "one.default", "one.default.svc", "one.default.svc.cluster.local"):
        assert sandbox.execute("default/a", ["getent", "ahostsv4", name], timeout=5).stdout.startswith(
            "10.96.1.1 "
        )
    assert sandbox.execute("default/a", ["getent", "hosts", "example.com"], timeout=5).returncode != 0


def test_a_resolver_that_is_started_again_knows_the_names(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), network=bench.services(one=[2]))
    sandbox.signal("meshtest/resolver", Part.APPLICATION, Action.KILL)
    sandbox.signal("meshtest/resolver", Part.APPLICATION, Action.START)
    assert bench.ask("resolve", name="one.default.svc.cluster.local")["answers"] == ["10.96.1.1"]


def test_the_agent_of_a_pod_answers_its_application_alone() -> None:
    names = Names()
    zone = {"api.example.com": ["198.19.0.2"], "real.example.com": ["198.19.0.3"]}
    names.replace(zone, {"10.244.0.2": {"api.example.com": ["240.240.0.1"]}})
    captured, other = names.of("10.244.0.2"), names.of("10.244.0.3")
    assert [asked(captured, name) for name in zone] == [["240.240.0.1"], ["198.19.0.3"]]
    for others in (other, names.past_agents("10.244.0.2")):
        assert [asked(others, name) for name in zone] == [["198.19.0.2"], ["198.19.0.3"]]
    names.replace(zone, {})
    assert asked(names.of("10.244.0.2"), "api.example.com") == ["198.19.0.2"]


def asked(zone: Zone, name: str) -> list[str]:
    return [str(found.rdata) for found in zone.answer(dnslib.DNSRecord.question(name)).rr]

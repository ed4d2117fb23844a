from __future__ import annotations

from typing import Any

import pytest
from envoy.config.listener.v3 import listener_pb2

from meshtest.explain.chains import bound, chain_of, redirected
from meshtest.explain.wire import Tls
from suites.unit.explain.conftest import message, wire

ANYWHERE = "0.0.0.0"  # noqa: S104 - a name in a message, never bound


def listener(name: str, address: str, port: int, *chains: dict[str, Any], **fields: Any) -> Any:
    at = {"socket_address": {"address": address, "port_value": port}}
    return message(listener_pb2.Listener, name=name, address=at, filter_chains=list(chains), **fields)


def chain(name: str, **match: Any) -> dict[str, Any]:
    return {"name": name, "filter_chain_match": match}


ENTRY = listener("entry", ANYWHERE, 15001, use_original_dst=True)
ALL = listener("all", ANYWHERE, 80, bind_to_port=False)
ONE = listener("one", "10.0.0.1", 80, bind_to_port=False)
MORE = listener("more", "10.0.0.2", 80, bind_to_port=False)
MORE.additional_addresses.add().address.socket_address.address = "10.0.0.3"
MORE.additional_addresses[0].address.socket_address.port_value = 80


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("10.0.0.1", 80, "one"),
        ("10.0.0.3", 80, "more"),
        ("10.0.0.9", 80, "all"),
        ("10.0.0.9", 81, "entry"),
    ],
)
def test_a_redirected_connection_finds_the_listener_of_its_address(
    address: str, port: int, name: str
) -> None:
    found = redirected([ENTRY, ALL, ONE, MORE], 15001, wire(address, port))
    assert found is not None
    assert found.name == name


def test_only_listeners_with_a_socket_are_reached_directly() -> None:
    assert bound([ALL, ONE], "10.0.0.1", 80) is None
    assert name_of(bound([listener("own", ANYWHERE, 80)], "10.0.0.1", 80)) == "own"


INSPECTED = [
    {"name": "envoy.filters.listener.tls_inspector"},
    {"name": "envoy.filters.listener.http_inspector"},
]
INBOUND = [
    chain(
        "http-tls", destination_port=8080, transport_protocol="tls", application_protocols=["istio-http/1.1"]
    ),
    chain("tls", destination_port=8080, transport_protocol="tls"),
    chain("http", destination_port=8080, application_protocols=["http/1.1", "h2c"]),
    chain("tcp", destination_port=8080, transport_protocol="raw_buffer"),
    chain("other", transport_protocol="raw_buffer"),
]


def name_of(found: Any) -> str | None:
    return None if found is None else str(found.name)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"layers": (Tls(alpn=("istio-http/1.1",)),)}, "http-tls"),
        ({"layers": (Tls(alpn=("h2",)),)}, "tls"),
        ({"spoken": "opaque"}, "tcp"),
        ({"port": 99}, "other"),
        ({"port": 99, "layers": (Tls(),)}, None),
    ],
    ids=["mesh", "own-tls", "tcp", "another-port", "no-chain"],
)
def test_chains_by_port_transport_and_protocol(fields: dict[str, Any], name: str | None) -> None:
    at = listener("in", ANYWHERE, 15006, *INBOUND, listener_filters=INSPECTED)
    assert name_of(chain_of(at, wire(**fields))) == name


def test_transport_is_looked_at_before_the_protocol() -> None:
    """As in Envoy: the chain that names the transport hides the one that names the protocol alone."""
    at = listener("in", ANYWHERE, 15006, *INBOUND, listener_filters=INSPECTED)
    assert name_of(chain_of(at, wire())) == "tcp"


def test_a_port_with_chains_of_its_own_falls_back_on_no_other() -> None:
    at = listener("in", ANYWHERE, 15006, chain("a", destination_port=1, transport_protocol="tls"), chain("b"))
    assert chain_of(at, wire(port=1)) is None
    assert name_of(chain_of(at, wire(port=2))) == "b"


def test_an_inspector_that_is_off_for_a_port_sees_nothing() -> None:
    off = {"destination_port_range": {"start": 8080, "end": 8081}}
    filters = [{**INSPECTED[0], "filter_disabled": off}]
    at = listener("in", ANYWHERE, 15006, *INBOUND, listener_filters=filters)
    assert name_of(chain_of(at, wire(layers=(Tls(alpn=("istio-http/1.1",)),)))) == "tcp"


@pytest.mark.parametrize(
    ("sni", "name"), [("a.example.com", "exact"), ("b.example.com", "wild"), ("example.org", "any")]
)
def test_server_names_from_the_most_special_on(sni: str, name: str) -> None:
    chains = [
        chain("any"), chain("wild", server_names=["*.example.com"]), chain("exact", server_names=["a.example.com"])
    ]  # fmt: skip
    at = listener("out", ANYWHERE, 443, *chains, listener_filters=INSPECTED)
    assert name_of(chain_of(at, wire(layers=(Tls(sni=sni),)))) == name


def test_the_longest_range_of_addresses() -> None:
    ranges = [{"address_prefix": "10.244.0.0", "prefix_len": length} for length in (16, 24)]
    chains = [chain(str(one["prefix_len"]), prefix_ranges=[one]) for one in ranges]
    assert name_of(chain_of(listener("x", ANYWHERE, 1, *chains), wire())) == "24"
    assert chain_of(listener("x", ANYWHERE, 1, *chains), wire("192.0.2.1")) is None

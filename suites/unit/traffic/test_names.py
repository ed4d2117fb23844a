from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from dnslib import CNAME, QTYPE, RCODE, RR, A, DNSRecord

from meshtest.errors import ScenarioError
from meshtest.traffic.client import Traffic
from meshtest.traffic.model import Outcome, Protocol, Request
from meshtest.traffic.netns import Namespaces, UnknownCaller
from meshtest.traffic.resolve import candidates
from meshtest.traffic.target import redirected, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshtest.traffic.client import TrafficDriver

ZONE = {
    "reviews.default.svc.cluster.local.": "127.0.0.1",
    "alias.default.svc.cluster.local.": "CNAME outside.example.",
    "outside.example.": "127.0.0.1",
    "several.default.svc.cluster.local.": "127.0.0.1 127.0.0.2 127.0.0.3",
}


class Dns:
    """A name server that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            data, client = self.sock.recvfrom(4096)
            if not data:
                return
            query = DNSRecord.parse(data)
            name = str(query.q.qname)
            self.asked.append(name)
            reply = query.reply()
            found = ZONE.get(name)
            if found is None:
                reply.header.rcode = RCODE.NXDOMAIN
            elif found.startswith("CNAME "):
                reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(found[6:])))
            else:
                for address in found.split():
                    reply.add_answer(RR(name, QTYPE.A, rdata=A(address)))
            self.sock.sendto(reply.pack(), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.sock.getsockname())
        self._thread.join(5)
        self.sock.close()


@pytest.fixture
def dns() -> Iterator[Dns]:
    made = Dns()
    yield made
    made.close()


@pytest.fixture
def resolving(dns: Dns, drive: Callable[..., TrafficDriver]) -> TrafficDriver:
    return drive(resolver=dns.address)


def test_a_name_is_tried_with_the_search_domains_of_the_callers_namespace(
    dns: Dns, resolving: TrafficDriver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        request = Request(url=f"tcp://reviews:{server.getsockname()[1]}", protocol=Protocol.TCP, timeout=0.1)
        one = resolving.request("shop/a", request)
        assert one.outcome is Outcome.UNRESOLVED
        assert dns.asked == [
            "reviews.shop.svc.cluster.local.",
            "reviews.svc.cluster.local.",
            "reviews.cluster.local.",
            "reviews.",
        ]
        assert resolving.request("default/a", request).remote_address.startswith("127.0.0.1:")


def test_a_cname_is_followed(resolving: TrafficDriver) -> None:
    one = resolving.request("default/a", Request(url="tcp://alias:1", protocol=Protocol.TCP))
    assert one.outcome is Outcome.REFUSED


def test_of_several_addresses_the_next_is_tried_where_nobody_listens(resolving: TrafficDriver) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        request = Request(url=f"tcp://several:{port}", protocol=Protocol.TCP, timeout=0.1)
        assert resolving.request("default/a", request).remote_address == f"127.0.0.2:{port}"
    one = resolving.request("default/a", request)
    assert (one.outcome, one.remote_address) == (Outcome.REFUSED, f"127.0.0.3:{port}")


@pytest.mark.parametrize("reuse", [True, False])
def test_the_connections_of_a_load_go_to_all_addresses(resolving: TrafficDriver, reuse: bool) -> None:  # noqa: FBT001
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - in front of several loopback addresses
        port = server.getsockname()[1]
        request = Request(url=f"http://several:{port}", timeout=0.1, reuse=reuse)
        ended = resolving.send(Traffic(caller="default/a", requests=[request], count=6, concurrency=3))
        assert {one.remote_address for one in ended} == {f"127.0.0.{last}:{port}" for last in (1, 2, 3)}


def test_an_address_given_needs_no_name(dns: Dns, resolving: TrafficDriver) -> None:
    request = Request(url="tcp://nowhere:1", protocol=Protocol.TCP, address="127.0.0.1")
    assert resolving.request("default/a", request).outcome is Outcome.REFUSED
    assert not dns.asked


def test_a_resolver_that_is_not_there_leaves_names_unresolved(drive: Callable[..., TrafficDriver]) -> None:
    one = drive(resolver="127.0.0.1:1").request("default/a", Request(url="http://reviews/"))
    assert (one.outcome, one.error) == (Outcome.UNRESOLVED, "reviews: resolver: Connection refused")


@pytest.mark.parametrize(
    ("host", "first"),
    [
        ("a", "a.ns.svc.cluster.local."),
        ("a.b.svc.cluster.local", "a.b.svc.cluster.local.ns.svc.cluster.local."),
        ("a.b.c.d.e.f", "a.b.c.d.e.f."),
        ("a.", "a."),
    ],
)
def test_names_with_five_dots_are_asked_as_they_are(host: str, first: str) -> None:
    assert next(candidates(host, "ns")) == first


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path"),
    [
        ("http://a", "a", 80, "a", b"/"),
        ("http://a:8080?q", "a", 8080, "a:8080", b"/?q"),
        ("https://A.b/%2e%2E/../x#y", "A.b", 443, "A.b", b"/%2e%2E/../x#y"),
        ("grpc://a:1/p.S/M", "a", 1, "a:1", b"/p.S/M"),
        ("tcp://10.0.0.1:99", "10.0.0.1", 99, "10.0.0.1:99", b"/"),
    ],
)
def test_a_url_is_taken_apart_untouched(url: str, host: str, port: int, authority: str, path: bytes) -> None:
    target = target_of(Request(url=url))
    assert (target.host, target.port, target.authority, target.path) == (host, port, authority, path)


@pytest.mark.parametrize("url", ["reviews:9080", "http:///x", "http://a:x/", "http://a:70000/", "tcp://a"])
def test_what_is_no_url_is_the_users_mistake(url: str) -> None:
    with pytest.raises(ScenarioError):
        target_of(Request(url=url))


@pytest.mark.parametrize(
    ("location", "url"),
    [("/b", "http://a:1/b"), ("b", "http://a:1/x/b"), ("https://c/d", "https://c/d")],
)
def test_where_a_redirect_leads(location: str, url: str) -> None:
    following = redirected(Request(url="http://a:1/x/y?z", address="10.0.0.1"), 302, location)
    assert (following.url, following.address) == (url, "10.0.0.1")


def test_see_other_is_followed_with_get() -> None:
    request = Request(url="http://a/", method="POST", body=b"x")
    assert (redirected(request, 303, "/b").method, redirected(request, 303, "/b").body) == ("GET", b"")
    assert redirected(request, 307, "/b").method == "POST"


UNSHARE = """
import ctypes, sys
assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace needs its owner's rights")
def test_sockets_stand_in_the_callers_network_namespace(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UNSHARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        (tmp_path / "default_a").symlink_to(f"/proc/{other.pid}/ns/net")
        namespaces = Namespaces(str(tmp_path))
        with (
            namespaces.socket("default/a", socket.SOCK_DGRAM) as sock,
            pytest.raises(OSError, match="unreachable"),
        ):
            sock.connect(("10.1.2.3", 53))
        with socket.create_server(("127.0.0.1", 0)) as here:
            assert here.getsockname()[0] == "127.0.0.1"
        with pytest.raises(UnknownCaller):
            namespaces.socket("default/b")
        other.communicate(b"")

from __future__ import annotations

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from meshtest.envoy.ads import Proxy, Rejected, Stream
from meshtest.envoy.decorate import Context
from meshtest.envoy.resources import TYPE_URLS, Resource

LISTENER = Resource.of(b"raw", b"value")


def subscribed() -> tuple[Proxy, Stream]:
    """A proxy whose Envoy has asked for its listeners and clusters."""
    proxy = Proxy(Context("/run", "default/a-0"))
    proxy.primed = True
    stream = proxy.stream = Stream(proxy)
    for kind in ("CDS", "LDS"):
        stream.received(discovery_pb2.DeltaDiscoveryRequest(type_url=TYPE_URLS[kind]))
    for nonce in list(stream.pending):
        stream.received(acknowledgement(nonce))
    return proxy, stream


def acknowledgement(nonce: str, said: str = "") -> discovery_pb2.DeltaDiscoveryRequest:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=TYPE_URLS["LDS"], response_nonce=nonce)
    if said:
        request.error_detail.message = said
    return request


def refused(proxy: Proxy, stream: Stream) -> None:
    """Push a listener, and only then say how `poisoned` it was."""
    proxy.resources["LDS"] = {"one": LISTENER}
    stream.push("LDS", sets=True, removals=True)
    (nonce,) = stream.pending
    proxy.poisoned = False
    stream.received(acknowledgement(nonce, "no such filter"))


def test_a_refusal_is_an_error() -> None:
    proxy, stream = subscribed()
    refused(proxy, stream)
    with pytest.raises(Rejected, match=r"default/a-0 refused LDS .one.: no such filter"):
        proxy.settled()


def test_what_a_fault_had_be_refused_is_none_when_the_fault_is_over() -> None:
    proxy, stream = subscribed()
    proxy.poisoned = True
    refused(proxy, stream)
    assert proxy.settled()


def test_while_the_fault_lasts_it_is() -> None:
    proxy, stream = subscribed()
    proxy.poisoned = True
    refused(proxy, stream)
    proxy.poisoned = True
    with pytest.raises(Rejected):
        proxy.settled()

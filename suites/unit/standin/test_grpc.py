"""gRPC, spoken by grpcio."""

from __future__ import annotations

import json
import queue
from typing import TYPE_CHECKING, Any

import grpc
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suites.unit.standin.conftest import StandIn, Start

_ECHO = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/"


def _open(standin: StandIn) -> Any:
    """A channel; Any, since grpcio's stubs know no calls without serializers."""
    return grpc.insecure_channel(f"127.0.0.1:{standin.port}")


@pytest.fixture
def channel(start: Start) -> Iterator[Any]:
    standin = start(ports=[{"port": 0, "protocol": "grpc"}])
    with _open(standin) as channel:
        yield channel


def _told(message: bytes) -> Any:
    """The JSON of field 1, the only one: after its tag and its length."""
    assert message[0] == 0x0A
    return json.loads(message[message.index(b"{") :])


def test_any_method_answers(channel: Any) -> None:
    metadata = [("end-user", "jason")]
    answer, call = channel.unary_unary("/shop.Cart/Add").with_call(b"\x0a\x01x", metadata=metadata)
    told = _told(answer)
    assert (told["workload"], told["path"], told["protocol"]) == ("ratings-v1", "/shop.Cart/Add", "HTTP/2")
    assert (told["headers"]["end-user"], told["body"], told["bodySize"]) == (["jason"], "CgF4", 3)
    assert call.code() is grpc.StatusCode.OK


def test_an_automatic_port_speaks_it_too(standin: StandIn) -> None:
    with _open(standin) as channel:
        assert _told(channel.unary_unary("/a.B/C")(b""))["path"] == "/a.B/C"


def test_one_response_per_request_message(channel: Any) -> None:
    answers = list(channel.stream_stream("/a.B/C")(iter([b"1", b"22", b"333"])))
    assert [_told(answer)["bodySize"] for answer in answers] == [1, 2, 3]


def test_responses_do_not_wait_for_the_end_of_the_requests(channel: Any) -> None:
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    call = channel.stream_stream("/a.B/C")(iter(requests.get, None))
    for size in (1, 2):
        requests.put(b"x" * size)
        assert _told(next(call))["bodySize"] == size
    requests.put(None)
    assert list(call) == []


def test_a_large_message_comes_back_within_flow_control(channel: Any) -> None:
    told = _told(channel.unary_unary("/a.B/C")(b"x" * 2_000_000))
    assert told["bodySize"] == 2_000_000


def test_the_control_header_sets_the_status(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/a.B/C")(b"", metadata=[("x-meshtest-control", "grpcStatus=5")])
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ("&grpcStatus=14", grpc.StatusCode.UNAVAILABLE),
        ("&responseCode=503", grpc.StatusCode.UNAVAILABLE),
        ("", grpc.StatusCode.INTERNAL),
    ],
    ids=["grpc", "http", "reset"],
)
def test_fails_the_first_calls_of_a_uuid(channel: Any, failure: str, code: grpc.StatusCode) -> None:
    control = [("x-meshtest-control", "uuid=a&succeedAfter=1" + failure)]
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/a.B/C")(b"", metadata=control)
    assert raised.value.code() is code
    assert _told(channel.unary_unary("/a.B/C")(b"", metadata=control))["path"] == "/a.B/C"


def test_health_is_serving(channel: Any) -> None:
    assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
    assert next(watch) == b"\x08\x01"
    watch.cancel()


def test_the_gateway_api_echo_service_tells_the_same(channel: Any) -> None:
    assert _told(channel.unary_unary(_ECHO + "Echo")(b""))["workload"] == "ratings-v1"


def test_echo_three_is_unimplemented_as_upstream(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(_ECHO + "EchoThree")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED

from __future__ import annotations

from typing import Any

import pytest

from meshtest.scenario import fault_connection as toxics
from meshtest.scenario.fault_connection import Stream


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("latency: {latency: 100ms, jitter: 10ms}", toxics.Latency(latency=0.1, jitter=0.01)),
        ("bandwidth: {rate: 64, stream: both}", toxics.Bandwidth(rate=64, stream=Stream.BOTH)),
        ("slowClose: {delay: 1s}", toxics.SlowClose(delay=1.0)),
        ("timeout: {timeout: 0s}", toxics.Timeout()),
        ("timeout: {}", toxics.Timeout()),
        (
            "resetPeer: {toxicity: 0.5, stream: upstream}",
            toxics.ResetPeer(toxicity=0.5, stream=Stream.UPSTREAM),
        ),
        (
            "slicer: {averageSize: 20, sizeVariation: 5, delay: 1500us}",
            toxics.Slicer(average_size=20, size_variation=5, delay=0.0015),
        ),
        ("limitData: {bytes: 1024}", toxics.LimitData(bytes=1024)),
        ("down: {}", toxics.Down()),
        ("down: true", toxics.Down()),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_a_toxic_is_read(files: Any, written: str, read: object) -> None:
    (fault,) = files.one(faults=f"faults: [{{{written}, from: reviews-v2, to: ratings}}]").faults
    assert (fault.action, fault.to, fault.sender) == (read, ("ratings",), ("reviews-v2",))
    assert not fault.of_requests


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "latency: {delay: 1s}",
            "s.mesh.yaml:9: spec.faults[0].latency: misses 'latency'; expected a duration",
        ),
        (
            "latency: {latency: 1s, jiter: 1ms}",
            "latency.jiter: unknown key 'jiter'; expected jitter, latency, stream or toxicity; did you mean 'jitter'?",
        ),
        ("latency: {latency: 100}", "100 is not a duration"),
        ("latency: {latency: 1500us}", "1500us is not a whole number of milliseconds"),
        ("bandwidth: {rate: 0}", "0 is out of range; expected KB per second of at least 1"),
        ("timeout: {stream: up}", "unknown stream 'up'; expected both, downstream or upstream"),
        ("resetPeer: {toxicity: 30%}", "'30%' is no toxicity; expected a share of the connections"),
        ("resetPeer: {toxicity: 0}", "0 is no toxicity"),
        ("slicer: {averageSize: 5, sizeVariation: 5}", "5 is not less than averageSize"),
        ("down: {stream: both}", "unknown key 'stream'"),
        (
            "latency: {latency: 1s}, percentage: 30",
            "percentage chooses requests, but latency meets whatever comes",
        ),
        ("down: {}, attempts: [1]", "attempts chooses requests, but down meets whatever comes"),
    ],
    ids=lambda value: value if "{" in value else "",
)
def test_a_wrong_toxic_is_named_with_its_line(files: Any, written: str, message: str) -> None:
    said = files.error(faults=f"faults:\n  - {{{written}, to: ratings}}")
    assert message in said
    assert said.startswith("s.mesh.yaml:")
